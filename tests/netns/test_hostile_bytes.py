"""Bytes that no client should send, through the EIP: a clear refusal, no worker hurt, nothing seen by any endpoint."""

import socket
from collections.abc import Iterator

import pytest

from tests.netns.observe import eventually, kept, logs, restarts, worker_pids
from userspace.lab import demo
from userspace.lab.exec import connect
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns
GATEWAYS = ("gw1", "gw2")
HOST = b"Host: blue.example.com\r\n"
TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(32)
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# Name -> (bytes, what the status line may begin with). Every request line names a path that is looked for in logs.
HOSTILE = {
    "garbage": (b"\x00\xff\xfe\x80 hostile \r\n\r\n", 400),
    "tls": (TLS_HELLO, 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http/0.9": (b"GET /hostile\r\n\r\n", 400),
    "another version": (b"GET /hostile HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    "oversized head": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
    "too many headers": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200 + b"\r\n", 431),
    "oversized target": (b"GET /hostile" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "head without end": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 60000, 431),
    "length and chunks": (
        b"POST /hostile HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (b"POST /hostile HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "chunked, almost": (b"POST /hostile HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "bare line feeds": (b"GET /hostile HTTP/1.1\nHost: blue.example.com\n\n", 400),
    "folded header": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "space before colon": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nhello", 400),
    "NUL in a value": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    "no host": (b"GET /hostile HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /hostile HTTP/1.1\r\n" + HOST + b"Host: green.example.com\r\n\r\n", 400),
    "above the root": (b"GET /../../hostile HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "unknown method": (b"HOSTILE /hostile HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "connect": (b"CONNECT 10.1.0.21:80 HTTP/1.1\r\nHost: 10.1.0.21:80\r\n\r\n", 405),
}
SMUGGLED = b"GET /hostile-smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module", autouse=True)
def nobody_is_hurt(lab: Lab) -> Iterator[None]:
    """Around all of it: the same workers, no restart, and no endpoint that saw any of it."""
    died, workers, watched = restarts(lab), {gw: worker_pids(lab, gw) for gw in GATEWAYS}, logs(lab)
    yield
    assert restarts(lab) == died
    assert {gw: worker_pids(lab, gw) for gw in GATEWAYS} == workers
    with kept(lab, demo.eip(lab)) as connection:  # one worker: it alternates
        for path in (*demo.ways(lab), *demo.ways(lab)):
            connection.request("GET", "/afterwards", headers={"Host": path.host})
            assert connection.getresponse().read()
    for place, log in watched.items():
        eventually(f"a line in the log of {place}", lambda log=log: log.of("/afterwards"))
        assert {entry["uri"] for entry in log.entries()} == {"/afterwards"}, place


@pytest.fixture(scope="module")
def slow(lab: Lab) -> Iterator[dict[str, socket.socket]]:
    """Connections that say the beginning of a request and then nothing, opened before the others, judged after them."""
    beginnings = {
        "nothing": b"",
        "half a request line": b"GET /host",
        "half a head": b"GET /hostile HTTP/1.1\r\n" + HOST + b"X-Slow: ",
    }
    opened = {name: connect(lab, "client", (demo.eip(lab), 80), timeout=60) for name in beginnings}
    for name, sock in opened.items():
        sock.sendall(beginnings[name])
    yield opened
    for sock in opened.values():
        sock.close()


def until_closed(sock: socket.socket) -> bytes:
    """Everything that comes until the other side closes or resets. Raises TimeoutError when it does neither."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def only_answer(received: bytes) -> tuple[int, bytes]:
    """(status, reason given in the body) of the one response that these bytes are."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), received
    assert b"\r\nConnection: close" in head
    assert f"\r\nContent-Length: {len(body)}".encode() in head  # one answer, and nothing behind it
    assert body.startswith(b'{"error_msg":"')
    return int(head[9:12]), body


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_by_name_and_the_connection_ends(lab: Lab, name: str) -> None:
    sent, status = HOSTILE[name]
    with connect(lab, "client", (demo.eip(lab), 80), timeout=30) as sock:
        sock.sendall(sent)
        received = until_closed(sock)
    answered, body = only_answer(received)
    assert answered == status, body
    assert len(body) > len(b'{"error_msg":"400 Bad Request"}\n')  # it says what was wrong


@pytest.mark.parametrize("name", ["length and chunks", "two lengths", "chunked, almost", "space before colon"])
def test_a_request_hidden_behind_a_disputed_body_is_not_served(lab: Lab, name: str) -> None:
    with connect(lab, "client", (demo.eip(lab), 80), timeout=30) as sock:
        sock.sendall(HOSTILE[name][0] + SMUGGLED)
        assert only_answer(until_closed(sock))[0] == HOSTILE[name][1]


def test_a_client_that_leaves_in_the_middle_of_a_head_costs_nothing(lab: Lab) -> None:
    for _ in range(20):
        with connect(lab, "client", (demo.eip(lab), 80), timeout=30) as sock:
            sock.sendall(b"GET /hostile HTTP/1.1\r\nHo")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not a close


@pytest.mark.parametrize("name", ["half a request line", "half a head"])
def test_a_slow_head_is_answered_408(slow: dict[str, socket.socket], name: str) -> None:
    assert only_answer(until_closed(slow[name]))[0] == 408


def test_a_client_that_says_nothing_is_closed(slow: dict[str, socket.socket]) -> None:
    assert until_closed(slow["nothing"]) == b""
