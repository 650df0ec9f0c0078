"""What a codec says: the events of a request or a response, whatever the HTTP version on the wire.

A request is `RequestHead Body* EndOfMessage`. A response is `ResponseHead(1xx)* ResponseHead Body* EndOfMessage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Headers = list[tuple[bytes, bytes]]
"""Field lines in the order they came: (name as sent, value without outer blanks). Values may hold obs-text bytes."""

CHUNKED: Final = None
"""A body whose length is not known beforehand and whose end is marked (chunked coding; END_STREAM in HTTP/2)."""

UNTIL_CLOSE: Final = -1
"""A response body that ends when the connection does."""


class ProtocolError(Exception):
    """Bytes that may not be forwarded. `status` answers the client (502 when an upstream sent them); `reason` names
    what was wrong. The connection must be closed: where its next message starts is unknown."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


@dataclass(slots=True)
class RequestHead:
    """One request up to its body. Everything in it is validated; nothing of a refused request becomes one.

    `target` is as sent; `path` is percent-decoded (UTF-8, other bytes as surrogate escapes), dot segments resolved,
    slashes merged: what routing sees. `query` excludes the `?`. `authority` is the host and port as sent, `host` its
    host in lower case without port and without a final dot ("" only in HTTP/1.0). `body` is a byte count or CHUNKED.
    `upgrade` is the value of Upgrade when Connection names it. `connection` holds Connection's options, lower case.
    """

    method: str
    target: bytes
    path: str
    query: bytes
    host: str
    authority: str
    headers: Headers
    version: str
    body: int | None
    keep_alive: bool
    expect_continue: bool
    upgrade: bytes | None
    connection: frozenset[bytes]


@dataclass(slots=True)
class ResponseHead:
    """One response up to its body; status 100..199 are interim ones (no EndOfMessage follows, except after 101).

    `body` is a byte count, CHUNKED or UNTIL_CLOSE, with the rules for HEAD, 204 and 304 applied: 0 for those.
    `keep_alive` says whether the connection can serve another request. `connection` as in RequestHead.
    """

    status: int
    reason: bytes
    headers: Headers
    version: str
    body: int | None
    keep_alive: bool
    upgrade: bytes | None
    connection: frozenset[bytes]


@dataclass(slots=True)
class Body:
    """Some bytes of the body, decoded; never empty."""

    data: bytes


@dataclass(slots=True)
class EndOfMessage:
    """The message is complete. `trailers` are the field lines after a chunked body."""

    trailers: Sequence[tuple[bytes, bytes]] = ()


Event = RequestHead | ResponseHead | Body | EndOfMessage

END_OF_MESSAGE: Final = EndOfMessage()
"""The end of every message without trailers: one object, shared."""
