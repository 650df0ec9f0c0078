"""How a message's body ends: RFC 9112 section 6.3, in its order, refusing what it leaves to judgement."""

import re

from userspace.http.events import CHUNKED, UNTIL_CLOSE, ProtocolError

LENGTH = re.compile(rb"[0-9]{1,19}")
MAX_LENGTH = 2**63 - 1


def request_body(version: str, transfer_encoding: bytes | None, content_length: bytes | None) -> int | None:
    """Return how the body of a request ends: a byte count, or CHUNKED.

    Both Transfer-Encoding and Content-Length is refused rather than resolved: every resolution is somebody's
    smuggling bug. Raises ProtocolError 400 for that, for Transfer-Encoding in HTTP/1.0, for a length that is not
    1 to 19 digits below 2**63; 501 for codings before chunked.
    """
    if transfer_encoding is not None:
        _require_chunked(400, version, transfer_encoding, content_length)
        return CHUNKED
    if content_length is not None:
        return _length(400, content_length)
    return 0


def response_body(
    method: str, status: int, version: str, transfer_encoding: bytes | None, content_length: bytes | None
) -> int | None:
    """Return how the body of a response to `method` ends: a byte count, CHUNKED, or UNTIL_CLOSE.

    Framing fields of a response without body (to HEAD, 1xx, 204, 304, 2xx to CONNECT) are checked and then ignored.
    Raises ProtocolError 502 where `request_body` would refuse.
    """
    body: int | None = UNTIL_CLOSE
    if transfer_encoding is not None:
        _require_chunked(502, version, transfer_encoding, content_length)
        body = CHUNKED
    elif content_length is not None:
        body = _length(502, content_length)
    if status < 200 or status == 204 or status == 304 or method == "HEAD" or is_tunnel(method, status):
        return 0
    return body


def is_tunnel(method: str, status: int) -> bool:
    """Say whether the connection is no HTTP any more behind this final response (RFC 9110 section 9.3.6)."""
    return method == "CONNECT" and 200 <= status < 300


def relayed_body(request_version: str, response_body: int | None) -> int | None:
    """Return how a response body can be framed toward a client that spoke `request_version`.

    HTTP/1.0 knows no chunked coding: such a body is ended by closing. A body that an upstream ended by closing
    becomes chunked toward HTTP/1.1, so that the client can tell a full one from a torn one.
    """
    if response_body is CHUNKED or response_body == UNTIL_CLOSE:
        return CHUNKED if request_version == "1.1" else UNTIL_CLOSE
    return response_body


def may_have_body(method: str, status: int) -> bool:
    """False for answers that end with their head (RFC 9112 section 6.3)."""
    return method != "HEAD" and status >= 200 and status not in (204, 304)


def _require_chunked(status: int, version: str, transfer_encoding: bytes, content_length: bytes | None) -> None:
    if content_length is not None:
        raise ProtocolError(status, "both Transfer-Encoding and Content-Length")
    if version != "1.1":
        raise ProtocolError(status, "Transfer-Encoding in HTTP/1.0")
    coding = transfer_encoding.lower()
    if coding != b"chunked":
        codings = [part.strip(b" \t") for part in coding.split(b",")]
        if status == 400 and len(codings) > 1 and codings[-1] == b"chunked" and all(codings):
            raise ProtocolError(501, "Transfer-Encoding other than chunked")
        raise ProtocolError(status, "Transfer-Encoding is not exactly chunked")


def _length(status: int, content_length: bytes) -> int:
    if LENGTH.fullmatch(content_length) is None:
        raise ProtocolError(status, "Content-Length is not a number")
    length = int(content_length)
    if length > MAX_LENGTH:
        raise ProtocolError(status, "Content-Length is too large")
    return length
