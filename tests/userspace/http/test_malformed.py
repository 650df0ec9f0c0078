"""Every malformed request of the table is refused, however it is cut, and nothing of it becomes a request."""

import pytest

from tests.userspace.http.conversations import bytewise, cut
from tests.userspace.http.malformed_requests import CHUNKED_BODIES, MALFORMED
from userspace.http.events import Event, ProtocolError, RequestHead
from userspace.http.http1 import RequestParser

IN_BODY = {name for name, *_ in CHUNKED_BODIES}


def refusal(pieces: list[bytes]) -> tuple[ProtocolError, list[Event]]:
    parser = RequestParser()
    events: list[Event] = []
    with pytest.raises(ProtocolError) as refused:
        for piece in pieces:
            events += parser.feed(piece)
    assert parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == []
    assert parser.resume() == []
    return refused.value, events


def test_the_table_is_long_and_its_names_are_unique() -> None:
    assert len(MALFORMED) >= 120
    assert len({name for name, *_ in MALFORMED}) == len(MALFORMED)


@pytest.mark.parametrize(("name", "data", "status", "word"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_a_malformed_request_is_refused(name: str, data: bytes, status: int, word: str) -> None:
    error, events = refusal([data])
    assert (error.status, word in error.reason) == (status, True), str(error)
    assert events == []
    slow, events = refusal(bytewise(data))
    assert (slow.status, word in slow.reason) == (status, True), str(slow)
    assert name in IN_BODY or not any(isinstance(event, RequestHead) for event in events)


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [row[:3] for row in MALFORMED if len(row[1]) < 400],
    ids=[row[0] for row in MALFORMED if len(row[1]) < 400],
)
def test_a_malformed_request_is_refused_wherever_it_is_cut(name: str, data: bytes, status: int) -> None:
    for at in range(1, len(data)):
        error, events = refusal(cut(data, at))
        assert error.status == status, at
        assert name in IN_BODY or events == []


@pytest.mark.parametrize(
    ("data", "status"), [row[1:3] for row in MALFORMED if row[0] not in IN_BODY and len(row[1]) < 400]
)
def test_a_malformed_request_behind_a_good_one_is_refused_in_its_turn(data: bytes, status: int) -> None:
    parser = RequestParser()
    # One empty line more would be two: the first of them is let pass before any request.
    good = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
    assert len(parser.feed(good + data)) == 2
    with pytest.raises(ProtocolError) as refused:
        parser.resume()
    assert refused.value.status == status


def test_what_httptools_alone_would_take_is_in_the_table() -> None:
    """The strict layer exists for these."""
    names = {name for name, *_ in MALFORMED}
    assert names >= {
        "chunked in HTTP/1.0",
        "gzip, then chunked",
        "comma, then chunked",
        "two Hosts",
        "no Host",
        "Host with a user",
        "Host with a path",
        "Host with a space",
        "two spaces after the method",
        "HTTP/0.9",
        "HTTP/2.0",
    }
