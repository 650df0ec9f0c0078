"""Reads one complete head: the grammar accepts it, httptools parses it, and what routing and framing need is drawn."""

from typing import Final

import httptools

from userspace.http.events import UNTIL_CLOSE, Headers, ProtocolError, RequestHead, ResponseHead
from userspace.http.framing import is_tunnel, request_body, response_body
from userspace.http.grammar import (
    FIELD,
    REQUEST_HEAD,
    RESPONSE_HEAD,
    why_not_request,
    why_not_response,
)
from userspace.http.headers import connection_options
from userspace.http.limits import Limits
from userspace.http.target import parse_authority, split_target

# What llhttp reads as HTTP methods. Others are refused: neither a route nor a retry can know what they do.
_KNOWN_METHODS: Final = (
    "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND"
    " UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK"
    " QUERY"
)
METHODS: Final = {name.encode("ascii"): name for name in _KNOWN_METHODS.split()}

# Two of these would leave it to each reader which one counts.
_SINGLE: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))
_NOTED: Final = _SINGLE | {b"connection", b"expect", b"proxy-connection", b"upgrade"}
_KEEP_ALIVE: Final = frozenset((b"keep-alive",))
_VERSIONS: Final = {b"0": "1.0", b"1": "1.1"}


class _Sink:
    """What httptools calls for one head. It does not know the parser: no reference cycle outlives a connection."""

    __slots__ = ("headers", "complete")

    def __init__(self) -> None:
        self.headers: Headers = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        self.complete = True

    def take(self, block: bytes, refused: bool) -> tuple[Headers, bool]:
        """Return (headers, whether the message ended with `block`) and be ready for the next head.

        Where httptools `refused` in the middle, the headers are read again so that our own checks can say why.
        """
        headers, complete = FIELD.findall(block) if refused else self.headers, self.complete
        self.headers, self.complete = [], False
        if b" \r\n" in block or b"\t\r\n" in block:  # httptools keeps blanks at the end of a value
            headers = [(name, value.rstrip(b" \t")) for name, value in headers]
        return headers, complete


class RequestHeadReader:
    """Reads the heads of one connection's requests, in order."""

    __slots__ = ("_allows_connect", "_limits", "_sink", "_parser")

    def __init__(self, limits: Limits, allows_connect: bool = False) -> None:
        self._allows_connect = allows_connect
        self._limits = limits
        self._sink = _Sink()
        self._parser: httptools.HttpRequestParser | None = None

    def read(self, block: bytes) -> RequestHead:
        """Return the head that `block` (through its empty line) is, or raise ProtocolError."""
        matched = REQUEST_HEAD.fullmatch(block)
        if matched is None:
            raise why_not_request(block)
        token, target, minor = matched.groups()
        limits = self._limits
        if len(target) > limits.max_target_bytes:
            raise ProtocolError(414, "request target is too long")
        method = METHODS.get(token)
        if method is None:
            if token != b"CONNECT":
                raise ProtocolError(501, "unknown method")
            if not self._allows_connect:
                raise ProtocolError(405, "CONNECT")
            method = "CONNECT"
        parser = self._parser or httptools.HttpRequestParser(self._sink)
        self._parser = None
        switched, refusal = _parse(parser, block)
        headers, complete = self._sink.take(block, refusal is not None)
        if len(headers) > limits.max_headers:
            raise ProtocolError(431, "too many headers")
        noted = _note(400, headers)
        version = _VERSIONS[minor]
        options = connection_options(noted.get(b"connection"))
        body = request_body(version, noted.get(b"transfer-encoding"), noted.get(b"content-length"))
        path, query, absolute = split_target(method, target)
        if method == "CONNECT" and body != 0:
            raise ProtocolError(400, "CONNECT with a body")
        if refusal is not None:
            raise ProtocolError(400, f"bad head: {refusal}")
        if not switched:
            if complete is not (body == 0):
                raise ProtocolError(400, "where the body ends is in dispute")
            if complete and _is_plain(version, options, noted):
                self._parser = parser
        if body and 0 < limits.max_body_bytes < body:
            raise ProtocolError(413, "body is too large")
        authority, host = _authority(version, noted.get(b"host"), absolute)
        expects = b"expect" in noted and _expects_continue(version, noted[b"expect"])
        return RequestHead(
            method,
            target,
            path,
            query,
            host,
            authority,
            headers,
            version,
            body,
            _keeps_alive(version, options),
            expects,
            _upgrade(version, options, noted),
            options,
        )


class ResponseHeadReader:
    """Reads the heads of one upstream connection's responses, in order."""

    __slots__ = ("_limits", "_sink", "_parser")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sink = _Sink()
        self._parser: httptools.HttpResponseParser | None = None

    def read(self, block: bytes, method: str) -> ResponseHead:
        """Return the head that `block` (through its empty line) is, in answer to `method`, or raise ProtocolError."""
        matched = RESPONSE_HEAD.fullmatch(block)
        if matched is None:
            raise why_not_response(block)
        minor, digits, reason = matched.groups()
        parser = self._parser or httptools.HttpResponseParser(self._sink)
        self._parser = None
        switched, refusal = _parse(parser, block)
        headers, complete = self._sink.take(block, refusal is not None)
        if len(headers) > self._limits.max_headers:
            raise ProtocolError(502, "too many headers")
        noted = _note(502, headers)
        version = _VERSIONS[minor]
        options = connection_options(noted.get(b"connection"))
        status = int(digits)
        body = response_body(method, status, version, noted.get(b"transfer-encoding"), noted.get(b"content-length"))
        if refusal is not None:
            raise ProtocolError(502, f"bad head: {refusal}")
        if not switched and method != "HEAD" and not is_tunnel(method, status):
            if complete is not (body == 0):
                raise ProtocolError(502, "where the body ends is in dispute")
            if complete and _is_plain(version, options, noted):
                self._parser = parser
        return ResponseHead(
            status,
            reason or b"",
            headers,
            version,
            body,
            body != UNTIL_CLOSE and _keeps_alive(version, options),
            _upgrade(version, options, noted),
            options,
        )


def _parse(
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser, block: bytes
) -> tuple[bool, httptools.HttpParserError | None]:
    """Return (whether httptools took the head for a switch of protocols, why it refused it if it did)."""
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        return True, None
    except httptools.HttpParserError as error:
        return False, error
    return False, None


def _note(status: int, headers: Headers) -> dict[bytes, bytes]:
    """Return the fields that framing, authority and connection depend on: lower-case name to value, lists joined."""
    noted: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _NOTED:
            if lower in noted:
                if lower in _SINGLE:
                    raise ProtocolError(status, f"more than one {lower.decode('ascii').title()}")
                value = noted[lower] + b", " + value
            noted[lower] = value
    return noted


def _authority(version: str, sent: bytes | None, absolute: bytes | None) -> tuple[str, str]:
    if sent is not None:
        parsed = parse_authority(sent)
        # RFC 9112 section 3.2.2: the target's authority outranks the Host field.
        return parsed if absolute is None else parse_authority(absolute)
    if version == "1.1":
        raise ProtocolError(400, "no Host")
    return parse_authority(absolute) if absolute is not None else ("", "")


def _is_plain(version: str, options: frozenset[bytes], noted: dict[bytes, bytes]) -> bool:
    """Whether httptools, too, takes the connection for one that goes on: it reads Proxy-Connection as Connection, and
    parses no head behind what it took for the last."""
    return version == "1.1" and options <= _KEEP_ALIVE and b"proxy-connection" not in noted


def _keeps_alive(version: str, options: frozenset[bytes]) -> bool:
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)


def _upgrade(version: str, options: frozenset[bytes], noted: dict[bytes, bytes]) -> bytes | None:
    return noted.get(b"upgrade") or None if version == "1.1" and b"upgrade" in options else None


def _expects_continue(version: str, value: bytes) -> bool:
    if value.lower() != b"100-continue":
        raise ProtocolError(417, "Expect other than 100-continue")
    return version == "1.1"
