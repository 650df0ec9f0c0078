"""Against h11, a codec with no code in common: what we accept, it accepts with the same framing."""

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.userspace.http.conversations import requests, responses
from userspace.http.events import Body, EndOfMessage, Headers, ProtocolError, RequestHead, ResponseHead
from userspace.http.http1 import RequestParser, ResponseParser

FRAGMENTS = [
    b"GET", b"POST", b"get", b"CONNECT", b" ", b"  ", b"\t", b"/", b"/a?b", b"*", b"http://b/",
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\x00", b":", b": ", b" :",
    b"Host: a", b"Host: a@b", b"Host", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: +5",
    b"Content-Length: 5, 5", b"Content-Length", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding:\x0bchunked", b"chunked", b"Connection: close", b"Connection: keep-alive",
    b"Expect: 100-continue", b"X: y", b"X:", b"X : y", b" folded", b"5", b"5\r\nhello\r\n", b"5;x\r\nhello\r\n",
    b"0\r\n\r\n", b"0\r\nT: u\r\n\r\n", b"0", b"a", b"hello", b"\xff", b"ffffffffffffffff", b"200 OK",
    b"204 No Content", b"304 Not Modified", b"100 Continue", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 No\r\n",
]  # fmt: skip

LINES = st.sampled_from(
    [
        b"Host: a",
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: 05",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: CHUNKED ",
        b"Connection: close",
        b"Connection: keep-alive",
        b"X: y",
        b"X:\xff",
        b"Expect: 100-continue",
        b"Upgrade: x",
        b"Connection: upgrade",
        b"Transfer-Encoding: gzip",
    ]  # fmt: skip
)
BODIES = st.sampled_from(
    [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: u\r\n\r\n", b"0\r\n\r\n"]
)


@st.composite
def near_requests(draw: st.DrawFn) -> bytes:
    first = draw(
        st.sampled_from(
            [b"GET / HTTP/1.1", b"POST /a HTTP/1.1", b"PUT / HTTP/1.0", b"HEAD * HTTP/1.1", b"OPTIONS * HTTP/1.1"]
        )
    )
    lines = [first, *draw(st.lists(LINES, max_size=5))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + draw(BODIES)


@st.composite
def near_responses(draw: st.DrawFn) -> bytes:
    first = draw(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK",
                b"HTTP/1.0 200 OK",
                b"HTTP/1.1 204 No",
                b"HTTP/1.1 304 N",
                b"HTTP/1.1 100 C",
                b"HTTP/1.1 500",
            ]
        )
    )
    lines = [first, *draw(st.lists(LINES, max_size=4))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + draw(BODIES)


def mutated(honest: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Honest messages, also with one fragment put in or bytes taken out somewhere, and heaps of fragments."""

    def mutate(data: bytes, at: int, gone: int, fragment: bytes) -> bytes:
        at %= len(data) + 1
        return data[:at] + fragment + data[at + gone :]

    return st.one_of(
        honest,
        st.builds(mutate, honest, st.integers(0, 300), st.integers(0, 3), st.sampled_from([b"", *FRAGMENTS])),
        st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join),
    )


def same_fields(theirs: Headers, ours: Headers) -> bool:
    """h11 puts Transfer-Encoding and Expect in lower case, and 005 as it is."""
    return [(name, value.lower()) for name, value in theirs] == [(name, value.lower()) for name, value in ours]


def by_h11_as_server(data: bytes) -> tuple[h11.Request | None, bytes, bool, bool]:
    """(request, body, whether it is complete, whether h11 refused)."""
    oracle = h11.Connection(h11.SERVER)
    return _run(oracle, data)


def _run(oracle: h11.Connection, data: bytes) -> tuple[h11.Request | h11.Response | None, bytes, bool, bool]:
    head, body = None, b""
    try:
        oracle.receive_data(data)
        while True:
            event = oracle.next_event()
            if isinstance(event, h11.Request | h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return head, body, True, False
            elif event in (h11.NEED_DATA, h11.PAUSED):
                return head, body, False, False
    except h11.RemoteProtocolError:
        return head, body, False, True


@settings(max_examples=1500, deadline=None)
@given(mutated(near_requests()))
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nhello")
def test_h11_accepts_every_request_that_we_accept_and_sees_the_same_body(data: bytes) -> None:
    parser = RequestParser()
    try:
        events = parser.feed(data)
    except ProtocolError:
        return
    if not events or not isinstance(events[0], RequestHead):
        return
    head, body, complete, refused = by_h11_as_server(data.removeprefix(b"\r\n"))
    assert not refused
    assert isinstance(head, h11.Request)
    assert head.method == events[0].method.encode()
    assert head.target == events[0].target
    assert same_fields(head.headers.raw_items(), events[0].headers)
    assert body == b"".join(event.data for event in events if isinstance(event, Body))
    assert complete is isinstance(events[-1], EndOfMessage)


@settings(max_examples=1000, deadline=None)
@given(mutated(near_responses()), st.sampled_from(["GET", "HEAD"]))
def test_h11_accepts_every_response_that_we_accept_and_sees_the_same_body(data: bytes, method: str) -> None:
    parser = ResponseParser(method=method)
    try:
        events = parser.feed(data)
    except ProtocolError:
        return
    final = [event for event in events if isinstance(event, ResponseHead) and event.status >= 200]
    if not final:
        return
    oracle = h11.Connection(h11.CLIENT)
    oracle.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    oracle.send(h11.EndOfMessage())
    head, body, complete, refused = _run(oracle, data)
    assert not refused
    assert isinstance(head, h11.Response)
    assert head.status_code == final[0].status
    assert same_fields(head.headers.raw_items(), final[0].headers)
    assert body == b"".join(event.data for event in events if isinstance(event, Body))
    assert complete is isinstance(events[-1], EndOfMessage)


@settings(max_examples=500, deadline=None)
@given(mutated(near_requests()), st.lists(st.integers(1, 200), max_size=4))
def test_a_request_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(at for at in cuts if at < len(data))})
    pieces = [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    outcomes: list[object] = []
    for feeding in ([data], pieces):
        try:
            outcomes.append(requests(RequestParser(), feeding))
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@settings(max_examples=300, deadline=None)
@given(mutated(near_responses()), st.integers(1, 200))
def test_a_response_is_the_same_however_it_is_cut(data: bytes, at: int) -> None:
    outcomes: list[object] = []
    for feeding in ([data], [data[:at], data[at:]]):
        try:
            outcomes.append(responses(ResponseParser(), feeding))
        except ProtocolError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_events_or_a_refusal(data: bytes) -> None:
    for parser in (RequestParser(), ResponseParser()):
        try:
            parser.feed(data)
        except ProtocolError as error:
            assert error.status in (400, 405, 413, 414, 417, 431, 501, 502, 505)
            assert error.reason
