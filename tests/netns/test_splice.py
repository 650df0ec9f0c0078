"""Spliced connections in the region: carried by the kernel, judged like any other, and alive without any process."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns import echo_upgraded, halting
from tests.netns.conftest import built
from tests.netns.crowd import echoes
from tests.netns.observe import eventually, kept, metrics, service, sha256_of, worker_pids
from tests.netns.pipelining import Answers, asking, pipelined
from tests.netns.splices import GW1, WAYS, get, publish, put, spliced, spliced_requests
from userspace.lab import nginx, services
from userspace.lab.exec import connect, open_socket, run, spawn
from userspace.lab.lab import Lab
from userspace.lab.publish import admin
from userspace.lab.topology import Topology

pytestmark = pytest.mark.netns
MIB = 1 << 20
TCP_REPAIR = 19
REVISION, BACK = "unilb_node_revision", "unilb_splice_back_total reason=epoch"


@pytest.fixture(scope="module")
def lab(region: Topology) -> Iterator[Lab]:
    """A region of this file's own, whose routes may be spliced; /forbidden is refused on both."""
    for lab in built("e2esplice", region):
        publish(lab)
        yield lab


@pytest.mark.parametrize("name", WAYS)
def test_requests_of_a_spliced_connection_reach_the_endpoint_as_the_client_sent_them(lab: Lab, name: str) -> None:
    with spliced(lab, name) as connection:
        before = spliced_requests(lab)
        answers = [json.loads(get(connection, name)[1]) for _ in range(20)]
        assert {answer["x_forwarded_for"] for answer in answers} == {None}
        assert len({answer["machine"] for answer in answers}) == 1
        eventually("they are counted", lambda: spliced_requests(lab) >= before + 20)


@pytest.mark.parametrize("name", WAYS)
def test_what_the_decision_does_not_cover_is_decided_anew_and_the_connection_goes_on(lab: Lab, name: str) -> None:
    with spliced(lab, name) as connection:
        for target, status in (("/who", 200), ("/forbidden", 503), ("/who", 200), ("/forbidden/x", 503), ("/who", 200)):
            assert get(connection, name, target)[0] == status


@pytest.mark.parametrize("name", WAYS)
def test_large_bodies_pass_whole_both_ways(lab: Lab, name: str) -> None:
    with spliced(lab, name) as connection:
        size = 10 * MIB
        _, body = get(connection, name, f"/size/{size}")
        _, again = get(connection, name, f"/size/{size}")
        whole = sha256_of(lab.state / "files" / str(size))
        assert {hashlib.sha256(data).hexdigest() for data in (body, again)} == {whole}
        sent = os.urandom(size)
        for n in range(2):
            connection.request("PUT", f"/upload/splice-{n}", body=sent, headers={"Host": f"{name}.example.com"})
            response = connection.getresponse()
            assert (response.status, response.read()) == (201, b"")
    places = ("web1", "web2") if name == "classic" else ("blue1", "blue2")
    stored = [nginx.directory(lab, place) / "upload" / f"splice-{n}" for place in places for n in range(2)]
    found = [path for path in stored if path.exists()]
    assert [path.read_bytes() == sent for path in found] == [True, True]
    for path in found:
        path.unlink()


@contextlib.contextmanager
def losing(lab: Lab, percent: int) -> Iterator[None]:
    """Have the router lose packets of either direction between the client and the zones."""
    chain = "add chain inet loss f { type filter hook forward priority 0; }"
    rule = f"add rule inet loss f numgen random mod 100 < {percent} drop"
    rules = f"add table inet loss\n{chain}\n{rule}\n"
    run(lab, "router", ["nft", "-f", "-"], stdin=rules)
    try:
        yield
    finally:
        run(lab, "router", ["nft", "delete", "table", "inet", "loss"])


@pytest.mark.parametrize("percent", [1, 5])
@pytest.mark.parametrize("name", WAYS)
def test_what_is_lost_on_the_way_is_repeated_by_the_ends(lab: Lab, name: str, percent: int) -> None:
    whole = sha256_of(lab.state / "files" / str(MIB))
    sent = os.urandom(MIB)
    with spliced(lab, name) as connection:
        before = spliced_requests(lab)
        with losing(lab, percent):
            for _ in range(10):
                assert get(connection, name)[0] == 200
            assert hashlib.sha256(get(connection, name, f"/size/{MIB}")[1]).hexdigest() == whole  # decided anew
            assert hashlib.sha256(get(connection, name, f"/size/{MIB}")[1]).hexdigest() == whole
            for _ in range(2):
                connection.request("PUT", "/upload/lost", body=sent, headers={"Host": f"{name}.example.com"})
                response = connection.getresponse()
                assert (response.status in (201, 204), response.read()) == (True, b"")
        eventually("the kernel has carried most of it", lambda: spliced_requests(lab) >= before + 10)
    places = ("web1", "web2") if name == "classic" else ("blue1", "blue2")
    stored = [path for place in places if (path := nginx.directory(lab, place) / "upload" / "lost").exists()]
    assert stored and all(path.read_bytes() == sent for path in stored)
    for path in stored:
        path.unlink()


FORBIDDEN = b"GET /forbidden HTTP/1.1\r\nHost: classic.example.com\r\n\r\n"
ALLOWED = b"GET /who HTTP/1.1\r\nHost: classic.example.com\r\n\r\n"
HIDDEN = {
    "in two pieces": [FORBIDDEN[:9], FORBIDDEN[9:]],
    "byte by byte": [FORBIDDEN[n : n + 1] for n in range(len(FORBIDDEN))],
    "behind an allowed one": [ALLOWED + FORBIDDEN],
    "behind half an allowed one": [ALLOWED[:20], ALLOWED[20:] + FORBIDDEN],
    "behind a length and transfer-encoding": [
        ALLOWED[:-2] + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + FORBIDDEN
    ],
    "behind a length that is a sum": [ALLOWED[:-2] + b"Content-Length: 0, 0\r\n\r\n" + FORBIDDEN],
    "in absolute form": [FORBIDDEN.replace(b"/forbidden", b"http://classic.example.com/forbidden")],
    "with another version": [FORBIDDEN.replace(b"1.1", b"1.0")],
    "as a body that is none": [ALLOWED[:-2] + b"Content-Length: 0\r\n\r\n" + FORBIDDEN],
    "with a folded line": [FORBIDDEN[:-2] + b"X-A: b\r\n c\r\n\r\n"],
    "behind a bare line feed": [ALLOWED[:-2] + b"X: y\n\n" + FORBIDDEN],
    "with bytes no path has": [FORBIDDEN.replace(b"forbidden", b"forbidden\x01")],
    "in percent": [FORBIDDEN.replace(b"forbidden", b"%66orbidden")],
    "through a parent": [FORBIDDEN.replace(b"/forbidden", b"/who/../forbidden")],
    "with two hosts": [FORBIDDEN[:-2] + b"Host: classic.example.com\r\n\r\n"],
    "with an upgrade": [FORBIDDEN[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"],
}


@pytest.mark.parametrize("pieces", HIDDEN.values(), ids=HIDDEN)
def test_a_forbidden_request_reaches_no_endpoint_however_it_is_hidden(lab: Lab, pieces: list[bytes]) -> None:
    logs = [nginx.access_log(lab, place) for place in ("web1", "web2")]
    starts = [log.stat().st_size if log.exists() else 0 for log in logs]
    with spliced(lab, "classic") as connection:
        sock = connection.sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            with contextlib.suppress(OSError):
                sock.sendall(piece)
        sock.settimeout(10)
        received = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in received and (data := sock.recv(65536)):
                received += data
        assert received[:12] in (
            b"HTTP/1.1 200",
            b"HTTP/1.1 503",
            b"HTTP/1.1 400",
            b"HTTP/1.0 503",
            b"HTTP/1.1 404",
            b"",
        )
    for log, start in zip(logs, starts, strict=True):
        if log.exists():
            assert b"forbidden" not in log.read_bytes()[start:]


@pytest.mark.parametrize("name", WAYS)
def test_a_client_that_pipelines_has_every_answer_whole_and_in_its_order(lab: Lab, name: str) -> None:
    digests = {str(size): sha256_of(lab.state / "files" / str(size)) for size in (1024, 65536, MIB)}
    targets = ["/who", "/size/1024", "/who", "/forbidden", "/size/65536", "/who", f"/size/{MIB}", "/who"] * 25
    with spliced(lab, name) as connection:
        answers = list(pipelined(connection.sock, f"{name}.example.com", targets, ahead=4))
    assert len(answers) == len(targets)
    for target, (status, body) in zip(targets, answers, strict=True):
        assert status == (503 if target == "/forbidden" else 200)
        if target.startswith("/size/"):
            assert hashlib.sha256(body).hexdigest() == digests[target[6:]]


@pytest.fixture(scope="module")
def halts(lab: Lab) -> None:
    spawn(lab, "web1", "halting", [sys.executable, str(Path(halting.__file__))])
    node = f"{lab.topology.machines['web1'].address}:{halting.PORT}"
    put(lab, "/apisix/admin/upstreams/slow", {"type": "roundrobin", "nodes": {node: 1}})
    publish(lab, "slow")

    def answers() -> bool:
        with kept(lab, GW1) as connection:
            return get(connection, "slow")[0] == 200

    eventually("it answers", answers)


@pytest.mark.usefixtures("halts")
@pytest.mark.parametrize("target", [target.decode() for target in halting.ANSWERS])
def test_who_asks_on_in_the_middle_of_an_answer_has_all_of_it_first(lab: Lab, target: str) -> None:
    """It has acknowledged all that there is so far, and the guard gives the request back."""
    unsettled, (first, rest) = "unilb_splice_back_total reason=unsettled", halting.ANSWERS[target.encode()]
    with kept(lab, GW1) as other, spliced(lab, "slow") as connection:
        assert get(connection, "slow", target)[0] == 200  # decided anew, and covered from here on
        before, answers = metrics(lab, "gw1").get(unsettled, 0), Answers(connection.sock)
        assert get(other, "slow", "/shut")[0] == 200
        connection.sock.sendall(asking("slow.example.com", target))
        assert answers.read(len(first)) == first
        connection.sock.sendall(asking("slow.example.com", "/forbidden"))
        eventually("it is held back", lambda: metrics(lab, "gw1").get(unsettled, 0) > before)
        assert get(other, "slow", "/open")[0] == 200
        assert answers.read(len(rest)) == rest
        assert answers.next()[0] == 503


def test_killing_every_process_breaks_no_spliced_connection_and_the_next_ones_list_them(lab: Lab) -> None:
    node = service(lab, "gw1")
    with contextlib.ExitStack() as stack:
        connections = [(name, stack.enter_context(spliced(lab, name))) for name in WAYS for _ in range(5)]
        running = services.running(lab, node)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        for pid in worker_pids(lab, "gw1"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually("the node is gone", lambda: services.running(lab, node) is None)
        for name, connection in connections * 3:
            assert get(connection, name)[0] == 200
        services.start(lab, node)
        services.wait_until_ready(lab, node, 60)
        for name, connection in connections * 2:
            assert get(connection, name)[0] == 200
        active = eventually(
            "the new node knows them",
            lambda: metrics(lab, "gw1").get("unilb_splices state=active kind=guarded", 0),
        )
        assert active >= 1


def test_a_websocket_leaves_the_proxy_unasked_and_outlives_its_worker(lab: Lab) -> None:
    spawn(lab, "web1", "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
    web1 = lab.topology.machines["web1"].address
    put(lab, "/apisix/admin/upstreams/ws", {"type": "roundrobin", "nodes": {f"{web1}:9000": 1}})
    route = {"host": "ws.example.com", "uri": "/*", "upstream_id": "ws", "enable_websocket": True}
    put(lab, "/apisix/admin/routes/ws", route)
    ask = b"GET / HTTP/1.1\r\nHost: ws.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def upgraded() -> socket.socket | None:
        sock = connect(lab, "client", (GW1, 80), timeout=30)
        sock.sendall(ask)
        if sock.recv(len(echo_upgraded.SWITCH)).startswith(b"HTTP/1.1 101"):
            return sock
        sock.close()
        return None

    kind = "unilb_splices_made_total kind=opaque"
    before = metrics(lab, "gw1").get(kind, 0)
    with eventually("the route is there", upgraded) as sock:
        eventually("it is spliced", lambda: metrics(lab, "gw1").get(kind, 0) > before)
        assert echoes(sock, 5) and echoes(sock, MIB)
        old = worker_pids(lab, "gw1")
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        assert echoes(sock, MIB)
        eventually("others have taken their places", lambda: len(worker_pids(lab, "gw1") - old) == len(old))
        assert echoes(sock, 5)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


@pytest.mark.parametrize("name", WAYS)
def test_a_client_that_has_forgotten_its_connection_begins_anew(lab: Lab, name: str) -> None:
    """Its SYN comes by the same numbers; the endpoint gets none, and its answer to the probe has the client reset."""
    with spliced(lab, name) as connection:
        source = connection.sock.getsockname()
        connection.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        connection.sock.close()  # and says nothing
        with open_socket(lab, "client") as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.settimeout(10)
            sock.bind(source)
            sock.connect((GW1, 80))
            connection.sock = sock
            assert get(connection, name)[0] == 200


def test_a_change_of_an_upstream_brings_back_what_goes_to_it_alone(lab: Lab) -> None:
    with spliced(lab, "classic") as connection:
        for upstream, comes_back in (("blue", 0), ("classic", 1)):
            before = metrics(lab, "gw1")
            reply = admin(lab, "PATCH", f"/apisix/admin/upstreams/{upstream}", {"desc": "changed"})
            assert reply.status == 200, reply.body
            eventually("it is in force", lambda was=before[REVISION]: metrics(lab, "gw1")[REVISION] > was)
            for _ in range(3):
                assert get(connection, "classic")[0] == 200
            back = metrics(lab, "gw1").get(BACK, 0) - before.get(BACK, 0)
            assert back == comes_back, f"of {upstream}"


def test_nothing_is_left_of_connections_that_have_ended(lab: Lab) -> None:
    with spliced(lab, "classic") as connection:
        get(connection, "classic")
    sock = connect(lab, "client", (GW1, 80))
    sock.close()

    def left() -> dict[str, float]:
        return {name: n for name, n in metrics(lab, "gw1").items() if name.startswith("unilb_splices ") and n}

    eventually("no splice is left", lambda: not left(), within=40)
