import pytest

from control.model.upstream import Endpoint, Upstream
from userspace.http.events import RequestHead
from userspace.http.http1 import RequestParser
from userspace.http.request import Peer, Request
from userspace.proxy.endpoint_head import asks_for_revision, endpoint_head, host_for

PEER = Peer("192.0.2.9", b"192.0.2.9", 40000, "10.0.0.9", 8080, None)
ENDPOINT = Endpoint("10.0.0.1", 8000, 1)


def head(text: str) -> RequestHead:
    event = RequestParser().feed(text.replace("\n", "\r\n").encode())[0]
    assert isinstance(event, RequestHead)
    return event


def upstream(**options: str) -> Upstream:
    return Upstream("u", "roundrobin", (ENDPOINT,), **options)  # type: ignore[arg-type]


def test_the_head_is_relayed_with_the_clients_address_and_without_what_was_for_us() -> None:
    sent = head("GET http://a.example:8080/x/../y?q HTTP/1.1\nHost: a.example:8080\nX: 1\nConnection: close\n\n")
    assert endpoint_head(Request(sent, PEER), upstream(), ENDPOINT) == (
        b"GET /x/../y?q HTTP/1.1\r\nHost: a.example:8080\r\nX: 1\r\nX-Real-IP: 192.0.2.9\r\n"
        b"X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\n"
        b"X-Forwarded-Port: 8080\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("options", "endpoint", "expected"),
    [
        ({}, ENDPOINT, b"a.example:8080"),
        ({"pass_host": "rewrite", "upstream_host": "in.example"}, ENDPOINT, b"in.example"),
        ({"pass_host": "node"}, ENDPOINT, b"10.0.0.1:8000"),
        ({"pass_host": "node"}, Endpoint("web.example", 80, 1), b"web.example"),
        ({"pass_host": "node"}, Endpoint("2001:db8::1", 80, 1), b"[2001:db8::1]"),
        ({"pass_host": "node"}, Endpoint("2001:db8::1", 81, 1), b"[2001:db8::1]:81"),
    ],
)
def test_pass_host(options: dict[str, str], endpoint: Endpoint, expected: bytes) -> None:
    sent = head("GET / HTTP/1.1\nHost: a.example:8080\n\n")
    assert host_for(sent, upstream(**options), endpoint) == expected


def test_a_request_without_host_gets_the_endpoints() -> None:
    assert host_for(head("GET / HTTP/1.0\n\n"), upstream(), ENDPOINT) == b"10.0.0.1:8000"


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("X-Unilb-Debug: revision", True),
        ("x-unilb-debug: revision", True),
        ("X-Unilb-Debug: all", False),
        ("A: b", False),
    ],
)
def test_the_revision_is_told_to_those_who_ask(field: str, asked: bool) -> None:
    assert asks_for_revision(head(f"GET / HTTP/1.1\nHost: a\n{field}\n\n").headers) is asked
