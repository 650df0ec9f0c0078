"""Whole conversations, fed whole, split at every byte, and joined."""

import pytest

from tests.userspace.http.conversations import bytewise, cut, head_of, merged, requests, response_of, responses
from userspace.http.events import (
    CHUNKED,
    END_OF_MESSAGE,
    UNTIL_CLOSE,
    Body,
    EndOfMessage,
    Event,
    ProtocolError,
    RequestHead,
    ResponseHead,
)
from userspace.http.http1 import RequestParser, ResponseParser, serialize_request_head, serialize_response_head
from userspace.http.limits import Limits

GET = b"GET /a%20b/../c?q=1 HTTP/1.1\r\nHost: Example.COM:8080\r\nX-Empty:\r\nX-Blank: \t v \t\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = (
    b"PUT /c HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING: Chunked\r\n\r\n"
    b'3;ext="x y"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 13 \r\nX-None:\r\n\r\n'
)
OLD = b"GET /old HTTP/1.0\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
EXPECT = b"POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_head_says_what_routing_and_framing_need() -> None:
    head = head_of(RequestParser().feed(GET))
    assert head == RequestHead(
        method="GET",
        target=b"/a%20b/../c?q=1",
        path="/c",
        query=b"q=1",
        host="example.com",
        authority="Example.COM:8080",
        headers=[(b"Host", b"Example.COM:8080"), (b"X-Empty", b""), (b"X-Blank", b"v")],
        version="1.1",
        body=0,
        keep_alive=True,
        expect_continue=False,
        upgrade=None,
        connection=frozenset(),
    )


@pytest.mark.parametrize(
    ("data", "body", "after"),
    [
        (GET, 0, [END_OF_MESSAGE]),
        (POST, 5, [Body(b"hello"), END_OF_MESSAGE]),
        (CHUNKS, CHUNKED, [Body(b"abc0123456789"), EndOfMessage([(b"X-Sum", b"13"), (b"X-None", b"")])]),
        (OLD, 0, [END_OF_MESSAGE]),
        (EXPECT, 2, [Body(b"ok"), END_OF_MESSAGE]),
        (b"\r\n" + POST, 5, [Body(b"hello"), END_OF_MESSAGE]),
        (POST[:-5].replace(b" 5", b" 005") + b"hello", 5, [Body(b"hello"), END_OF_MESSAGE]),
    ],
    ids=["no body", "counted", "chunked", "HTTP/1.0", "expect", "empty line first", "zeros in length"],
)
def test_a_request_is_the_same_events_however_it_is_cut(data: bytes, body: int | None, after: list[Event]) -> None:
    whole = requests(RequestParser(), [data])
    assert head_of(whole).body == body
    assert whole[1:] == after
    assert requests(RequestParser(), bytewise(data)) == whole
    for at in range(1, len(data)):
        assert requests(RequestParser(), cut(data, at)) == whole


def test_joined_requests_come_one_by_one() -> None:
    parser = RequestParser()
    joined = GET + POST + CHUNKS + GET
    first = parser.feed(joined)
    assert head_of(first).path == "/c"
    assert first[-1] is END_OF_MESSAGE
    assert parser.unread == len(joined) - len(GET)
    assert merged(parser.resume())[1:] == [Body(b"hello"), END_OF_MESSAGE]
    assert head_of(parser.resume()).method == "PUT"
    assert head_of(parser.resume()).path == "/c"
    assert (parser.unread, parser.resume(), parser.is_idle) == (0, [], True)


def test_joined_requests_are_the_same_as_single_ones_wherever_they_are_cut() -> None:
    joined = POST + CHUNKS + GET
    whole = [event for data in (POST, CHUNKS, GET) for event in requests(RequestParser(), [data])]
    assert requests(RequestParser(), [joined]) == whole
    for at in range(1, len(joined)):
        assert requests(RequestParser(), cut(joined, at)) == whole


def test_what_comes_before_resume_is_kept_in_order() -> None:
    parser = RequestParser()
    parser.feed(GET)
    assert parser.feed(POST[:10]) == parser.feed(POST[10:]) == []
    assert parser.unread == len(POST)
    assert head_of(parser.resume()).path == "/p"


def test_a_client_cannot_make_us_keep_more_than_the_limit() -> None:
    parser = RequestParser(Limits(max_unread_bytes=100))
    parser.feed(GET)
    parser.feed(b"x" * 100)
    with pytest.raises(ProtocolError) as refused:
        parser.feed(b"x")
    assert refused.value.status == 400
    assert parser.unread == 0


def test_nothing_is_read_behind_a_request_that_closes() -> None:
    for data in (GET.replace(b"X-Empty:", b"Connection: close"), OLD):
        parser = RequestParser()
        assert head_of(parser.feed(data + GET)).keep_alive is False
        assert parser.resume() == []
        assert parser.feed(GET) == []


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"Connection: x, close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.1", b"Proxy-Connection: close\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_keep_alive_follows_version_and_connection(version: bytes, connection: bytes, keeps: bool) -> None:
    data = b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n" % (version, connection)
    parser = RequestParser()
    assert head_of(parser.feed(data)).keep_alive is keeps
    assert (parser.resume(), len(parser.feed(GET))) == ([], 2 if keeps else 0)


def test_bytes_behind_an_upgrade_are_left_unread_for_whoever_speaks_next() -> None:
    for pieces in ([UPGRADE + b"\x81\x05hello"], [*bytewise(UPGRADE), b"\x81\x05hello"]):
        parser = RequestParser()
        events = [event for piece in pieces for event in parser.feed(piece)]
        assert head_of(events).upgrade == b"websocket"
        assert events[1:] == [END_OF_MESSAGE]
        assert parser.take_unread() == b"\x81\x05hello"
        assert parser.unread == 0


def test_an_upgrade_that_is_not_taken_up_changes_nothing() -> None:
    parser = RequestParser()
    parser.feed(UPGRADE + POST)
    assert merged(parser.resume())[1:] == [Body(b"hello"), END_OF_MESSAGE]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
def test_a_request_to_upgrade_may_have_a_body(framing: bytes) -> None:
    data = UPGRADE[:-2].replace(b"GET", b"POST") + framing
    expected = [Body(b"abc"), END_OF_MESSAGE]
    assert requests(RequestParser(), [data + GET])[1:3] == expected
    assert requests(RequestParser(), bytewise(data + GET))[1:3] == expected


def test_upgrade_counts_only_when_connection_names_it() -> None:
    without = UPGRADE.replace(b"keep-alive, Upgrade", b"keep-alive")
    assert head_of(RequestParser().feed(without)).upgrade is None
    by_proxy = UPGRADE.replace(b"Connection", b"Proxy-Connection")
    assert head_of(requests(RequestParser(), [by_proxy + GET])).upgrade is None
    assert len(requests(RequestParser(), [by_proxy + GET])) == 4


def test_is_idle_until_the_first_byte_of_a_request() -> None:
    parser = RequestParser()
    assert parser.is_idle
    parser.feed(GET[:1])
    assert not parser.is_idle
    parser.feed(GET[1:])
    assert parser.is_idle
    parser.resume()
    parser.feed(POST[:-1])
    assert not parser.is_idle


def test_the_end_of_the_stream_is_an_error_only_within_a_request() -> None:
    for data in (b"", GET, GET + OLD):
        parser = RequestParser()
        parser.feed(data)
        parser.eof()
    for data in (GET[:-1], POST[:-1], CHUNKS[:-1]):
        parser = RequestParser()
        parser.feed(data)
        with pytest.raises(ProtocolError):
            parser.eof()


def test_a_body_that_is_the_whole_read_is_not_copied() -> None:
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4096\r\n\r\n")
    data = bytes(2048)
    (first,), (second, _) = parser.feed(data), parser.feed(data)
    assert isinstance(first, Body) and first.data is data
    assert isinstance(second, Body) and second.data is data


@pytest.mark.parametrize(
    ("limits", "data", "status"),
    [
        (Limits(max_head_bytes=60), GET, 431),
        (Limits(max_headers=2), GET, 431),
        (Limits(max_target_bytes=14), GET, 414),
        (Limits(max_body_bytes=4), POST, 413),
        (Limits(max_body_bytes=12), CHUNKS, 413),
        (Limits(max_trailer_bytes=20), CHUNKS, 431),
        (Limits(max_headers=1), CHUNKS.replace(b"Host: a\r\n", b"").replace(b"/c HTTP/1.1", b"http://a HTTP/1.1"), 400),
        (Limits(max_chunk_line_bytes=10), CHUNKS, 400),
    ],
)
def test_each_limit_is_exact(limits: Limits, data: bytes, status: int) -> None:
    for pieces in ([data], bytewise(data)):
        with pytest.raises(ProtocolError) as refused:
            requests(RequestParser(limits), pieces)
        assert refused.value.status == status


def test_just_within_the_limits_is_fine() -> None:
    limits = Limits(
        max_head_bytes=len(GET),
        max_headers=3,
        max_target_bytes=15,
        max_body_bytes=13,
        max_trailer_bytes=25,
        max_chunk_line_bytes=13,
    )
    for data in (GET, POST, CHUNKS):
        assert requests(RequestParser(limits), [data]) == requests(RequestParser(limits), bytewise(data))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \xe9 \r\n\r\nhello"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "data", "body", "after"),
    [
        ("GET", OK, 5, [Body(b"hello"), END_OF_MESSAGE]),
        ("GET", STREAM, CHUNKED, [Body(b"hello"), EndOfMessage([(b"X", b"y")])]),
        ("HEAD", OK[:-5], 0, [END_OF_MESSAGE]),
        ("HEAD", STREAM[: STREAM.index(b"\r\n\r\n") + 4], 0, [END_OF_MESSAGE]),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("POST", b"HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("POST", b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 0, [END_OF_MESSAGE]),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 1, [Body(b"x"), END_OF_MESSAGE]),
    ],
)
def test_a_response_is_the_same_events_however_it_is_cut(
    method: str, data: bytes, body: int | None, after: list[Event]
) -> None:
    whole = responses(ResponseParser(method=method), [data])
    assert response_of(whole).body == body
    assert whole[1:] == after
    assert responses(ResponseParser(method=method), bytewise(data)) == whole
    for at in range(1, len(data)):
        assert responses(ResponseParser(method=method), cut(data, at)) == whole


def test_a_response_head_says_what_was_sent() -> None:
    head = response_of(ResponseParser().feed(OK))
    assert head == ResponseHead(
        status=200,
        reason=b"OK",
        headers=[(b"Content-Length", b"5"), (b"X", b"\xe9")],
        version="1.1",
        body=5,
        keep_alive=True,
        upgrade=None,
        connection=frozenset(),
    )


def test_interim_responses_come_before_the_final_one() -> None:
    data = CONTINUE + HINTS + OK
    whole = responses(ResponseParser(), [data])
    assert [event.status for event in whole if isinstance(event, ResponseHead)] == [100, 103, 200]
    assert responses(ResponseParser(), bytewise(data)) == whole
    assert responses(ResponseParser(), [CONTINUE, HINTS, OK]) == whole


def test_interim_responses_are_limited() -> None:
    parser = ResponseParser(Limits(max_interim_responses=2))
    parser.feed(CONTINUE * 2)
    with pytest.raises(ProtocolError, match="502: too many interim"):
        parser.feed(CONTINUE)


def test_a_connection_serves_response_after_response() -> None:
    parser = ResponseParser(method="GET")
    for method, data, count in [("GET", OK, 3), ("HEAD", OK[:-5], 2), ("PUT", STREAM, 3), ("GET", CONTINUE + OK, 4)]:
        parser.expect(method)
        assert not parser.is_reusable
        assert len(parser.feed(data)) == count
        assert parser.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        OK.replace(b"X:", b"Connection: close\r\nX:"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"HTTP/1.1 200 OK\r\n",
        OK[:-1],
    ],
    ids=["close", "HTTP/1.0", "unasked bytes", "unfinished"],
)
def test_a_connection_is_not_reused_when_its_next_response_cannot_be_trusted(data: bytes) -> None:
    parser = ResponseParser()
    parser.feed(data)
    assert not parser.is_reusable


def test_a_body_without_length_ends_with_the_connection() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nhel"
    for pieces in ([data, b"lo"], bytewise(data + b"lo")):
        parser = ResponseParser()
        events = responses(parser, pieces)
        assert (response_of(events).body, response_of(events).keep_alive) == (UNTIL_CLOSE, False)
        assert merged(events)[1:] == [Body(b"hello")]
        assert parser.eof() == [END_OF_MESSAGE]
        assert not parser.is_reusable


@pytest.mark.parametrize("data", [b"", OK[:7], OK[:-1], STREAM[:-2], CONTINUE])
def test_a_response_cut_short_is_told_from_a_complete_one(data: bytes) -> None:
    parser = ResponseParser()
    parser.feed(data)
    assert parser.is_idle is (data in (b"", CONTINUE))
    with pytest.raises(ProtocolError, match="502"):
        parser.eof()


def test_switching_protocols_leaves_the_rest_unread() -> None:
    data = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"
    for pieces in ([data], [*bytewise(data[:-4]), data[-4:]]):
        parser = ResponseParser(method="GET", offered=b"websocket")
        events = responses(parser, pieces)
        assert response_of(events).upgrade == b"websocket"
        assert events[1:] == [END_OF_MESSAGE]
        assert parser.take_unread() == b"\x81\x02hi"
    for offered in (None, b"irc"):
        with pytest.raises(ProtocolError, match="101 to what was not offered"):
            ResponseParser(method="GET", offered=offered).feed(data)


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_tunnel_begins_right_behind_the_answer_to_connect(framing: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\x16\x03"
    for pieces in ([data], [*bytewise(data[:-2]), data[-2:]]):
        parser = ResponseParser(method="CONNECT")
        assert responses(parser, pieces)[1:] == [END_OF_MESSAGE]
        assert not parser.is_reusable
        assert parser.take_unread() == b"\x16\x03"
    refused = ResponseParser(method="CONNECT")
    assert refused.feed(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")[1:] == [Body(b"no"), END_OF_MESSAGE]
    assert refused.is_reusable


def test_connect_is_read_where_it_is_allowed_and_what_follows_is_left_alone() -> None:
    data = b"CONNECT B.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n\x16\x03"
    for pieces in ([data], [*bytewise(data[:-2]), data[-2:]]):
        parser = RequestParser(allows_connect=True)
        events = [event for piece in pieces for event in parser.feed(piece)]
        head = head_of(events)
        assert (head.method, head.target, head.authority, head.host) == (
            *("CONNECT", b"B.example:443"),
            *("B.example:443", "b.example"),
        )
        assert (head.path, head.query, head.body, events[1:]) == ("/", b"", 0, [END_OF_MESSAGE])
        assert parser.take_unread() == b"\x16\x03"


@pytest.mark.parametrize(
    ("line", "framing"),
    [
        (b"a.example", b""),
        (b"/", b""),
        (b"http://a.example:80/", b""),
        (b"user@a.example:443", b""),
        (b"a.example:0", b""),
        (b"a.example:65536", b""),
        (b"a.example:443", b"Content-Length: 3\r\n"),
        (b"a.example:443", b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_connect_names_a_host_and_a_port_and_has_no_body(line: bytes, framing: bytes) -> None:
    with pytest.raises(ProtocolError, match="400"):
        RequestParser(allows_connect=True).feed(
            b"CONNECT " + line + b" HTTP/1.1\r\nHost: a.example\r\n" + framing + b"\r\n"
        )


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (OK.replace(b"X:", b"Content-Length: 6\r\nX:"), "more than one"),
        (OK.replace(b"X:", b"Content-Length: 5\r\nX:"), "more than one"),
        (OK.replace(b"X:", b"Transfer-Encoding: chunked\r\nX:"), "both"),
        (OK.replace(b"Length: 5", b"Length: 5, 5"), "Content-Length"),
        (OK.replace(b"Length: 5", b"Length: -5"), "Content-Length"),
        (STREAM.replace(b"chunked", b"gzip, chunked"), "Transfer-Encoding"),
        (STREAM.replace(b"chunked", b"gzip"), "Transfer-Encoding"),
        (STREAM.replace(b"1.1", b"1.0"), "HTTP/1.0"),
        (STREAM.replace(b"5\r\nhello", b"x\r\nhello"), "chunk size"),
        (OK.replace(b"\r\nX", b"\nX"), "LF"),
        (OK.replace(b"X: ", b"X : "), "space before colon"),
        (OK.replace(b"X: ", b" X: "), "folded"),
        (OK.replace(b"\xe9", b"\x00"), "NUL"),
        (b"HTTP/2 200 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "status line"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "status line"),
        (b"hello\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000, "too large"),
        (b"H" * 20000, "too large"),
    ],
)
def test_an_ambiguous_response_is_refused_as_the_upstreams_fault(data: bytes, word: str) -> None:
    for pieces in ([data], bytewise(data)):
        with pytest.raises(ProtocolError) as refused:
            responses(ResponseParser(), pieces)
        assert (refused.value.status, word in refused.value.reason) == (502, True), str(refused.value)


def test_what_is_serialized_parses_to_the_same() -> None:
    headers = [(b"Host", b"a"), (b"X", b""), (b"Content-Length", b"0")]
    sent = serialize_request_head("PUT", b"/a?b", headers)
    assert sent == b"PUT /a?b HTTP/1.1\r\nHost: a\r\nX: \r\nContent-Length: 0\r\n\r\n"
    head = head_of(RequestParser().feed(sent))
    assert (head.method, head.target, head.headers) == ("PUT", b"/a?b", headers)
    sent = serialize_response_head(404, b"Not Found", headers)
    assert sent.startswith(b"HTTP/1.1 404 Not Found\r\nHost: a\r\n")
    answer = response_of(ResponseParser().feed(sent))
    assert (answer.status, answer.reason, answer.headers) == (404, b"Not Found", headers)
