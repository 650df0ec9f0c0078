"""Field lines between the client and the endpoint: what is dropped, rewritten and added on the way."""

from collections.abc import Iterable, Sequence
from typing import Final

from userspace.http.events import CHUNKED, UNTIL_CLOSE, Headers, RequestHead, ResponseHead
from userspace.http.framing import is_tunnel

HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
"""Fields that concern one connection only (RFC 9110 section 7.6.1), besides those that Connection names."""

# Spellings with "_" are dropped with ours: CGI and WSGI servers read both as the same variable.
_OURS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip")
_FRAMING = (b"host", b"content-length", b"transfer-encoding")
_REWRITTEN: Final = (
    HOP_BY_HOP
    | frozenset(_OURS + _FRAMING)
    | frozenset(name.replace(b"-", b"_") for name in _OURS + _FRAMING if b"-" in name)
)
_RESPONSE_DROPPED: Final = HOP_BY_HOP | {b"content-length"}
_SENT_BY_TRUSTED: Final = frozenset(_OURS[1:4])

_COUNTED: Final = frozenset(("OPTIONS", "TRACE"))  # RFC 9110 section 7.6.2: their Max-Forwards counts hops
_BODY_EXPECTED: Final = frozenset(("POST", "PUT", "PATCH"))  # RFC 9110 section 8.6: say so when there is none

_NOTHING: Final[frozenset[bytes]] = frozenset()
_KNOWN_OPTIONS: Final = {
    spelling: frozenset((spelling.lower(),))
    for word in (b"keep-alive", b"close", b"upgrade")
    for spelling in (word, word.title(), word.capitalize())
}


def connection_options(value: bytes | None) -> frozenset[bytes]:
    """Return the options that a Connection field (values joined by commas) lists, in lower case."""
    if value is None:
        return _NOTHING
    known = _KNOWN_OPTIONS.get(value)
    if known is not None:
        return known
    return frozenset(option for part in value.lower().split(b",") if (option := part.strip(b" \t")))


def first_value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the value of the first field called `name` (lower case), or None."""
    for field, value in headers:
        if field.lower() == name:
            return value
    return None


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of all fields called `name` (lower case), in order."""
    return [value for field, value in headers if field.lower() == name]


def without(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """Return the fields whose lower-case name is not in `names`."""
    return [pair for pair in headers if pair[0].lower() not in names]


def request_fields(
    head: RequestHead,
    host: bytes,
    client: bytes,
    scheme: bytes,
    port: int,
    trusted: bool | None = None,
    offered: bytes | None = None,
    ours: frozenset[bytes] = frozenset(),
) -> Headers:
    """Return the fields to send to an endpoint.

    Host first, then the client's end-to-end fields in order, then X-Real-IP and X-Forwarded-*, then the framing that
    `head.body` asks for (the caller encodes the body accordingly). `host` is what the endpoint shall see; `client` the
    client's address; `port` the port it connected to. `trusted` tells whose word about the client counts, as APISIX's
    trusted_addresses: None (none configured) appends to X-Forwarded-For, False starts it anew, True appends and keeps
    the -Proto, -Host and -Port that the peer sent. `offered` is the Upgrade to send
    on. `ours` are the X-Forwarded-* that plugins changed: these are as `head` has them, whoever sent it.
    """
    drop = _REWRITTEN | head.connection if head.connection else _REWRITTEN
    kept: Headers = [(b"Host", host)]
    chain = b""
    connection = b"" if offered is None else b"upgrade"
    believes = trusted is not False or b"x-forwarded-for" in ours
    told: dict[bytes, bytes] = {}
    for pair in head.headers:
        name = pair[0].lower()
        if name not in drop:
            kept.append(pair)
        elif name == b"x-forwarded-for":
            chain = chain + b", " + pair[1] if chain else pair[1]
        elif name in _SENT_BY_TRUSTED and (trusted or name in ours):
            told[name] = told[name] + b", " + pair[1] if name in told else pair[1]
        elif name == b"te" and _wants_trailers(pair[1], head.connection):
            kept.append((b"TE", b"trailers"))
            connection = b"te, upgrade" if offered is not None else b"te"
    kept.append((b"X-Real-IP", client))
    kept.append((b"X-Forwarded-For", chain + b", " + client if chain and believes else client))
    kept.append((b"X-Forwarded-Proto", told.get(b"x-forwarded-proto", scheme)))
    kept.append((b"X-Forwarded-Host", told.get(b"x-forwarded-host") or head.host.encode("ascii")))
    kept.append((b"X-Forwarded-Port", told.get(b"x-forwarded-port") or b"%d" % port))
    if ours:
        kept = [
            pair
            for pair in kept
            if (name := pair[0].lower()) not in ours or name in told or name not in _SENT_BY_TRUSTED
        ]
    if head.body is CHUNKED:
        kept.append((b"Transfer-Encoding", b"chunked"))
    elif head.body or head.method in _BODY_EXPECTED:
        kept.append((b"Content-Length", b"%d" % head.body))
    if head.method in _COUNTED:
        kept = [(name, _one_hop_less(name, value)) for name, value in kept]
    if connection:
        kept.append((b"Connection", connection))
    if offered is not None:
        kept.append((b"Upgrade", offered))
    return kept


def may_go_on(head: RequestHead) -> bool:
    """False when the client wants an answer of the hop that we are (Max-Forwards: 0)."""
    return head.method not in _COUNTED or first_value(head.headers, b"max-forwards") != b"0"


def _one_hop_less(name: bytes, value: bytes) -> bytes:
    if name.lower() != b"max-forwards" or not value.isdigit() or len(value) > 9:
        return value
    return b"%d" % max(0, int(value) - 1)


def request_trailers(trailers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Return the trailer fields to send to an endpoint. What is ours in a head is ours here: some servers put trailers
    among the headers. The codec has refused those that mean something for framing, routing or authority."""
    return [pair for pair in trailers if pair[0].lower() not in _REWRITTEN]


def _wants_trailers(te: bytes, connection: frozenset[bytes]) -> bool:
    return b"te" in connection and b"trailers" in [part.strip(b" \t") for part in te.lower().split(b",")]


def response_fields(
    head: ResponseHead, request: RequestHead, body: int | None, keep_alive: bool, date: bytes | None = None
) -> Headers:
    """Return the fields to send to the client that sent `request`.

    `body` is how the body will be framed (framing.relayed_body). Content-Length of a response to HEAD and of a 304
    passes as sent: it tells of a body that is not there. 1xx, 204 and 2xx to CONNECT get no framing. `keep_alive` False
    adds `Connection: close`; 101 and 426 get `Connection: upgrade` and their Upgrade. `date` is for a final response
    that has none (RFC 9110 section 6.6.1).
    """
    status = head.status
    keeps_length = status >= 200 and (status == 304 or request.method == "HEAD")
    drop = _RESPONSE_DROPPED | head.connection if head.connection else _RESPONSE_DROPPED
    kept: Headers = []
    is_dated = date is None or status < 200
    for pair in head.headers:
        name = pair[0].lower()
        if name not in drop:
            kept.append(pair)
            is_dated = is_dated or name == b"date"
    if not is_dated and date is not None:
        kept.append((b"Date", date))
    if (status == 101 or status == 426) and head.upgrade is not None:
        kept.append((b"Connection", b"upgrade"))
        kept.append((b"Upgrade", head.upgrade))
    if status < 200 or is_tunnel(request.method, status):
        return kept
    if keeps_length:
        length = first_value(head.headers, b"content-length")
        if length is not None:
            kept.append((b"Content-Length", length))
    elif status != 204:
        if body is CHUNKED:
            kept.append((b"Transfer-Encoding", b"chunked"))
        elif body != UNTIL_CLOSE:
            kept.append((b"Content-Length", b"%d" % body))
    if not keep_alive:
        kept.append((b"Connection", b"close"))
    elif request.version == "1.0":
        kept.append((b"Connection", b"keep-alive"))
    return kept
