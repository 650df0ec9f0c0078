"""Responses that the gateway gives itself: those of plugins, and `{"error_msg": ...}` as APISIX words them."""

from functools import lru_cache
from http import HTTPStatus

import orjson

from userspace.http.events import Headers

REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ROUTE_NOT_FOUND = "404 Route Not Found"
SERVER = (b"Server", b"unilb")


def compose(status: int, headers: Headers, body: bytes, keep_alive: bool, head_only: bool = False) -> bytes:
    """Return a whole response. `headers` lack the framing; `head_only` leaves the body out but keeps its
    Content-Length, as a response to HEAD does. `keep_alive` False adds `Connection: close`."""
    lines = [
        b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"Error")),
        *(b"%b: %b\r\n" % pair for pair in headers),
    ]
    if status not in (204, 304):
        lines.append(b"Content-Length: %d\r\n" % len(body))
    if not keep_alive:
        lines.append(b"Connection: close\r\n")
    lines.append(b"\r\n")
    if not head_only and status not in (204, 304):
        lines.append(body)
    return b"".join(lines)


@lru_cache(maxsize=256)
def reply(status: int, text: str, keep_alive: bool, head_only: bool = False, fields: bytes = b"") -> bytes:
    """Return a whole response of `status` whose JSON body says `text`; `fields` are more header lines.

    `head_only` leaves the body out but keeps its Content-Length, as a response to HEAD does. `keep_alive` False adds
    `Connection: close`. All texts come from our own code, so few distinct ones exist; the cache is bounded anyway.
    """
    body = orjson.dumps({"error_msg": text}, option=orjson.OPT_APPEND_NEWLINE)
    head = b"HTTP/1.1 %d %b\r\nServer: unilb\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b%b\r\n" % (
        status,
        REASONS.get(status, b"Error"),
        len(body),
        b"" if keep_alive else b"Connection: close\r\n",
        fields,
    )
    return head if head_only else head + body
