"""How the codec's tests feed a parser: whole, split at every byte, joined."""

from collections.abc import Iterator

from userspace.http.events import Body, EndOfMessage, Event, Headers, RequestHead, ResponseHead
from userspace.http.http1 import RequestParser, ResponseParser


def merged(events: list[Event]) -> list[Event]:
    """Neighbouring bodies as one: where a body is cut says how it came, not what it is."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Body) and result and isinstance(result[-1], Body):
            result[-1] = Body(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def requests(parser: RequestParser, pieces: Iterator[bytes] | list[bytes]) -> list[Event]:
    """The events of a client that sends `pieces`, each request being resumed from at once."""
    events: list[Event] = []
    for piece in pieces:
        fed = parser.feed(piece)
        while fed:
            events += fed
            fed = parser.resume() if isinstance(fed[-1], EndOfMessage) else []
    return merged(events)


def responses(parser: ResponseParser, pieces: Iterator[bytes] | list[bytes]) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return merged(events)


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def cut(data: bytes, at: int) -> list[bytes]:
    return [data[:at], data[at:]]


def head_of(events: list[Event]) -> RequestHead:
    assert isinstance(events[0], RequestHead)
    return events[0]


def response_of(events: list[Event]) -> ResponseHead:
    assert isinstance(events[0], ResponseHead)
    return events[0]


def request(headers: Headers | None = None, **changes: object) -> RequestHead:
    """A RequestHead for tests of what is done with one."""
    fields: dict[str, object] = {
        "method": "GET",
        "target": b"/",
        "path": "/",
        "query": b"",
        "host": "a.example",
        "authority": "a.example:8080",
        "headers": headers or [],
        "version": "1.1",
        "body": 0,
        "keep_alive": True,
        "expect_continue": False,
        "upgrade": None,
        "connection": frozenset(),
    }
    return RequestHead(**{**fields, **changes})  # type: ignore[arg-type]


def response(headers: Headers | None = None, **changes: object) -> ResponseHead:
    """A ResponseHead likewise."""
    fields: dict[str, object] = {
        "status": 200,
        "reason": b"OK",
        "headers": headers or [],
        "version": "1.1",
        "body": 0,
        "keep_alive": True,
        "upgrade": None,
        "connection": frozenset(),
    }
    return ResponseHead(**{**fields, **changes})  # type: ignore[arg-type]
