import pytest

from tests.userspace.http.conversations import request, response
from userspace.http.events import CHUNKED, UNTIL_CLOSE, Headers
from userspace.http.headers import (
    HOP_BY_HOP,
    connection_options,
    first_value,
    may_go_on,
    request_fields,
    request_trailers,
    response_fields,
    values,
    without,
)

CLIENT = [
    (b"X-Real-IP", b"203.0.113.9"),
    (b"X-Forwarded-For", b"203.0.113.9"),
    (b"X-Forwarded-Proto", b"http"),
    (b"X-Forwarded-Host", b"a.example"),
    (b"X-Forwarded-Port", b"80"),
]


def to_endpoint(
    headers: Headers, trusted: bool | None = None, offered: bytes | None = None, **changes: object
) -> Headers:
    head = request(headers, **changes)
    head.connection = connection_options(b", ".join(values(headers, b"connection")) or None)
    return request_fields(head, b"a.example:8080", b"203.0.113.9", b"http", 80, trusted, offered)


def test_a_request_is_sent_on_with_host_first_and_the_client_named() -> None:
    sent = to_endpoint([(b"Accept", b"*/*"), (b"Host", b"other"), (b"cookie", b"a=b")])
    assert sent == [(b"Host", b"a.example:8080"), (b"Accept", b"*/*"), (b"cookie", b"a=b"), *CLIENT]


def test_hop_by_hop_fields_stay_behind() -> None:
    for name in HOP_BY_HOP:
        assert to_endpoint([(name.title(), b"x")]) == [(b"Host", b"a.example:8080"), *CLIENT]


def test_fields_that_connection_names_stay_behind() -> None:
    sent = to_endpoint([(b"Connection", b"close, X-Secret"), (b"x-secret", b"1"), (b"X-Other", b"2")])
    assert sent == [(b"Host", b"a.example:8080"), (b"X-Other", b"2"), *CLIENT]


def test_a_client_cannot_take_away_what_we_add() -> None:
    names = b"x-forwarded-for, x-real-ip, host, content-length"
    sent = to_endpoint([(b"Connection", names), (b"X-Forwarded-For", b"198.51.100.1")], body=5)
    assert first_value(sent, b"host") == b"a.example:8080"
    assert first_value(sent, b"x-forwarded-for") == b"198.51.100.1, 203.0.113.9"
    assert first_value(sent, b"x-real-ip") == b"203.0.113.9"
    assert first_value(sent, b"content-length") == b"5"


@pytest.mark.parametrize(
    "name", [b"X_Real_IP", b"X_Forwarded_For", b"x_forwarded_proto", b"Content_Length", b"Transfer_Encoding"]
)
def test_spellings_that_cgi_reads_as_ours_stay_behind(name: bytes) -> None:
    assert to_endpoint([(name, b"forged")]) == [(b"Host", b"a.example:8080"), *CLIENT]


@pytest.mark.parametrize(
    ("trusted", "chain", "proto", "host", "port"),
    [
        (None, b"1.1.1.1, 2.2.2.2, 203.0.113.9", b"http", b"a.example", b"80"),
        (False, b"203.0.113.9", b"http", b"a.example", b"80"),
        (True, b"1.1.1.1, 2.2.2.2, 203.0.113.9", b"https", b"outer.example", b"443"),
    ],
)
def test_whose_word_about_the_client_counts(
    trusted: bool | None, chain: bytes, proto: bytes, host: bytes, port: bytes
) -> None:
    sent = to_endpoint(
        [
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"X-Forwarded-For", b"2.2.2.2"),
            (b"X-Forwarded-Proto", b"https"),
            (b"X-Forwarded-Host", b"outer.example"),
            (b"X-Forwarded-Port", b"443"),
            (b"X-Real-IP", b"6.6.6.6"),
        ],
        trusted,
    )
    assert values(sent, b"x-forwarded-for") == [chain]
    assert values(sent, b"x-forwarded-proto") == [proto]
    assert values(sent, b"x-forwarded-host") == [host]
    assert values(sent, b"x-forwarded-port") == [port]
    assert values(sent, b"x-real-ip") == [b"203.0.113.9"]


@pytest.mark.parametrize(
    ("method", "body", "framing"),
    [
        ("GET", 0, []),
        ("POST", 0, [(b"Content-Length", b"0")]),
        ("POST", 12, [(b"Content-Length", b"12")]),
        ("GET", 12, [(b"Content-Length", b"12")]),
        ("PUT", CHUNKED, [(b"Transfer-Encoding", b"chunked")]),
    ],
)
def test_the_framing_sent_on_is_the_one_that_was_understood(method: str, body: int | None, framing: Headers) -> None:
    headers = [(b"Content-Length", b"0012"), (b"Transfer-Encoding", b"CHUNKED")]
    assert to_endpoint(headers, method=method, body=body)[6:] == framing


def test_an_upgrade_is_sent_on_only_when_asked_to() -> None:
    headers = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Key", b"k")]
    assert first_value(to_endpoint(headers, upgrade=b"websocket"), b"upgrade") is None
    sent = to_endpoint(headers, offered=b"websocket", upgrade=b"websocket")
    assert sent[-2:] == [(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")]
    assert to_endpoint([]) == [(b"Host", b"a.example:8080"), *CLIENT]


@pytest.mark.parametrize(
    ("te", "connection", "goes_on"),
    [
        (b"trailers", b"TE", True),
        (b"deflate;q=0.5, Trailers", b"close, te", True),
        (b"deflate", b"TE", False),
        (b"trailers", b"close", False),
    ],
)
def test_a_client_that_takes_trailers_is_asked_for_them_in_our_own_name(
    te: bytes, connection: bytes, goes_on: bool
) -> None:
    sent = to_endpoint([(b"TE", te), (b"Connection", connection)])
    assert [pair for pair in sent if pair[0] in (b"TE", b"Connection")] == (
        [(b"TE", b"trailers"), (b"Connection", b"te")] if goes_on else []
    )


@pytest.mark.parametrize(
    ("method", "sent", "goes_on", "passed"),
    [
        ("OPTIONS", b"3", True, b"2"),
        ("TRACE", b"10", True, b"9"),
        ("TRACE", b"0", False, b"0"),
        ("OPTIONS", b"many", True, b"many"),
        ("OPTIONS", b"9" * 12, True, b"9" * 12),
        ("GET", b"0", True, b"0"),
    ],
)
def test_max_forwards_counts_hops_of_two_methods(method: str, sent: bytes, goes_on: bool, passed: bytes) -> None:
    fields = [(b"Max-Forwards", sent)]
    assert may_go_on(request(list(fields), method=method)) is goes_on
    assert first_value(to_endpoint(fields, method=method), b"max-forwards") == passed


def test_trailers_go_on_without_what_a_head_may_not_bring_either() -> None:
    sent = [(b"X-Sum", b"1"), (b"x-real-ip", b"9.9.9.9"), (b"X_Forwarded_For", b"9.9.9.9"), (b"TE", b"trailers")]
    assert request_trailers(sent) == [(b"X-Sum", b"1")]


SENT = [
    (b"Server", b"nginx"),
    (b"Content-Length", b"7"),
    (b"Connection", b"close, X-Hop"),
    (b"X-Hop", b"1"),
    (b"Keep-Alive", b"timeout=5"),
]


@pytest.mark.parametrize(
    ("method", "version", "status", "body", "keep_alive", "added"),
    [
        ("GET", "1.1", 200, 7, True, [(b"Content-Length", b"7")]),
        ("GET", "1.1", 200, 0, True, [(b"Content-Length", b"0")]),
        ("GET", "1.1", 200, CHUNKED, True, [(b"Transfer-Encoding", b"chunked")]),
        ("GET", "1.1", 200, 7, False, [(b"Content-Length", b"7"), (b"Connection", b"close")]),
        ("GET", "1.0", 200, 7, True, [(b"Content-Length", b"7"), (b"Connection", b"keep-alive")]),
        ("GET", "1.0", 200, UNTIL_CLOSE, False, [(b"Connection", b"close")]),
        ("HEAD", "1.1", 200, 0, True, [(b"Content-Length", b"7")]),
        ("GET", "1.1", 304, 0, True, [(b"Content-Length", b"7")]),
        ("GET", "1.1", 204, 0, True, []),
        ("GET", "1.1", 103, 0, True, []),
        ("GET", "1.1", 101, 0, True, [(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")]),
        ("CONNECT", "1.1", 200, 0, False, []),
        ("CONNECT", "1.1", 403, 0, True, [(b"Content-Length", b"0")]),
        (
            *("GET", "1.1", 426, 7, False),
            [
                *[(b"Connection", b"upgrade"), (b"Upgrade", b"websocket")],
                *[(b"Content-Length", b"7"), (b"Connection", b"close")],
            ],
        ),
    ],
)
def test_a_response_is_framed_for_the_client_that_asked(
    method: str, version: str, status: int, body: int | None, keep_alive: bool, added: Headers
) -> None:
    head = response(list(SENT), status=status, connection=frozenset((b"close", b"x-hop")), upgrade=b"websocket")
    asked = request(method=method, version=version)
    assert response_fields(head, asked, body, keep_alive) == [(b"Server", b"nginx"), *added]


@pytest.mark.parametrize(
    ("status", "fields", "dated"),
    [
        (200, [], [(b"Date", b"now")]),
        (500, [(b"X-Date", b"1")], [(b"X-Date", b"1"), (b"Date", b"now")]),
        (200, [(b"dATE", b"then")], [(b"dATE", b"then")]),
        (103, [], []),
        (101, [], []),
    ],
)
def test_a_final_response_without_a_date_gets_one(status: int, fields: Headers, dated: Headers) -> None:
    sent = response_fields(response(list(fields), status=status), request(), 0, True, b"now")
    assert [pair for pair in sent if pair[0] != b"Content-Length"] == dated


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (None, set()),
        (b"", set()),
        (b"Keep-Alive", {b"keep-alive"}),
        (b"close , X-A,,\tUpgrade", {b"close", b"x-a", b"upgrade"}),
    ],
)
def test_connection_options_are_a_set_in_lower_case(value: bytes | None, options: set[bytes]) -> None:
    assert connection_options(value) == options


def test_fields_are_found_and_left_out_by_lower_case_name() -> None:
    headers = [(b"A", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert first_value(headers, b"a") == b"1"
    assert first_value(headers, b"c") is None
    assert values(headers, b"a") == [b"1", b"3"]
    assert without(headers, frozenset((b"a",))) == [(b"b", b"2")]
