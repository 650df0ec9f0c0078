"""The access log of a region whose connections the kernel carries: a line for each request, whoever saw it pass."""

import contextlib
import http.client
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.netns import echo_upgraded
from tests.netns.crowd import comes_back, upgraded
from tests.netns.observe import CLIENT, Log, eventually, kept, metrics, pids, service, worker_pids
from tests.netns.splices import EMPTY, GW1, WAYS, put, spliced_requests
from userspace.lab import demo, process, services
from userspace.lab.exec import run, spawn
from userspace.lab.lab import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module", autouse=True)
def routes(lab: Lab) -> None:
    """Hosts of this file's own: the region's other routes stay with the workers."""
    for name in WAYS:
        route = {"host": host_of(name), "uri": "/*", "upstream_id": name, "splice": "auto"}
        put(lab, f"/apisix/admin/routes/{logged(name)}", route)
        refused = {"host": host_of(name), "uri": "/forbidden*", "upstream": EMPTY, "splice": "auto", "priority": 9}
        put(lab, f"/apisix/admin/routes/{logged(name)}-forbidden", refused)
    for name in WAYS:
        with kept(lab, GW1) as connection:

            def is_routed(name: str = name, connection: http.client.HTTPConnection = connection) -> bool:
                connection.request("GET", "/who", headers={"Host": host_of(name)})
                response = connection.getresponse()
                response.read()
                return response.status == 200

            eventually("it is routed", is_routed)


def logged(way: str) -> str:
    return f"{way}-logged"


def host_of(way: str) -> str:
    return f"{logged(way)}.example.com"


@dataclass
class Talk:
    """Requests over one connection, each with a path of its own: what was sent and received of each."""

    sock: socket.socket
    name: str
    exchanges: dict[str, tuple[int, int]] = field(default_factory=dict)

    def ask(self, path: str, body: bytes = b"") -> int:
        """Return the status."""
        method = "PUT" if body else "GET"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        sent = f"{method} {path} HTTP/1.1\r\nHost: {host_of(self.name)}\r\n{length}\r\n".encode() + body
        self.sock.sendall(sent)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self.sock.recv(65536)
        head, _, rest = received.partition(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or b"0") - len(rest)
        while left > 0:
            data = self.sock.recv(65536)
            received, left = received + data, left - len(data)
        self.exchanges[path] = len(sent), len(received)
        return int(head[9:12])


@contextlib.contextmanager
def talks(lab: Lab, turns: int, address: str = GW1, gateways: tuple[str, ...] = ("gw1",)) -> Iterator[list[Talk]]:
    """Connections of both ways that the kernel of a gateway carries, each after so many requests."""

    def made() -> float:
        found = [metrics(lab, gateway).items() for gateway in gateways]
        return sum(n for each in found for name, n in each if name.startswith("unilb_splices_made_total"))

    with contextlib.ExitStack() as stack:
        found = []
        for name in WAYS:
            before = made()
            talk = Talk(stack.enter_context(kept(lab, address)).sock or pytest.fail("no connection"), name)
            for n in range(turns):
                assert talk.ask(f"/who?{name}&first={n}") == 200
            eventually("the connection is spliced", lambda before=before: made() > before)  # type: ignore[misc]
            found.append(talk)
        yield found


def lines(log: Log) -> Counter[str]:
    return Counter(entry["path"] for entry in log.entries() if "path" in entry)


def test_each_request_has_one_line_with_its_path_status_bytes_and_route(lab: Lab) -> None:
    log = Log(lab, "gw1")
    with talks(lab, 3) as found:
        for talk in found:
            for n in range(30):
                assert talk.ask(f"/who?{talk.name}&n={n}") == 200
            for n in range(2):  # the first of them decided anew
                assert talk.ask(f"/size/1048576?{talk.name}&{n}") == 200
            assert talk.ask(f"/forbidden/{talk.name}") == 503
            for n in range(3):
                assert talk.ask(f"/upload/line-{talk.name}?{n}", b"x" * 5000) in (201, 204)
    told = {path: sizes for talk in found for path, sizes in talk.exchanges.items()}
    eventually("every request has its line", lambda: set(told) <= set(lines(log)))
    entries = {entry["path"]: entry for entry in log.entries()}
    for talk in found:
        for path, (sent, received) in talk.exchanges.items():
            entry = entries[path]
            assert (entry["bytes_in"], entry["bytes_out"]) == (sent, received), entry
            assert (entry["client"], entry["host"]) == (CLIENT, host_of(talk.name))
            route = logged(talk.name) + "-forbidden" * ("forbidden" in path)
            assert (entry["route"], entry["status"] // 100) == (route, 5 if "forbidden" in path else 2)
    paths = lines(log)
    assert {path: paths[path] for path in told if paths[path] != 1 and path != "/size/100000"} == {}
    spliced = [entry for entry in entries.values() if entry.get("spliced")]
    assert len(spliced) >= 40
    for entry in spliced:
        by_worker = entries[f"/who?{entry['upstream']}&first=0"]
        assert set(by_worker) <= set(entry)
        for key in ("upstream", "vpc_id", "sticky", "retries", "error", "error_source"):
            assert entry[key] == by_worker[key]
        assert (entry["endpoint"], entry["upstream_status"]) == (entry["upstream_address"], entry["status"])
        assert 0 < entry["upstream_ms"] == entry["request_ms"] < 30_000


def test_no_line_is_lost_or_written_twice_when_the_node_dies(lab: Lab) -> None:
    log, node, old = Log(lab, "gw1"), service(lab, "gw1"), worker_pids(lab, "gw1")
    with talks(lab, 3) as found:

        def all_ask(turn: str) -> None:
            for talk in found:
                for n in range(10):
                    assert talk.ask(f"/who?{talk.name}&{turn}={n}") == 200

        all_ask("before")
        running = services.running(lab, node)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        eventually("the node is gone", lambda: services.running(lab, node) is None)
        all_ask("without")
        services.start(lab, node)
        services.wait_until_ready(lab, node, 60)
        all_ask("after")
    told = {path for talk in found for path in talk.exchanges}
    eventually("every request has its line", lambda: told <= set(lines(log)))
    assert {path: count for path, count in lines(log).items() if path in told and count != 1} == {}
    assert metrics(lab, "gw1").get("unilb_access_log_dropped_total", 0) == 0
    # They have no node: who still reaches one of them is never spliced.
    eventually("the workers of the dead node are gone", lambda: not old & worker_pids(lab, "gw1"), within=60)


def test_a_connection_that_stays_silent_has_its_lines_too(lab: Lab) -> None:
    log = Log(lab, "gw1")
    with talks(lab, 4) as found:
        told = {path for talk in found for path in talk.exchanges}
        eventually("every request has its line", lambda: told <= set(lines(log)))
        for talk in found:
            assert talk.ask(f"/who?{talk.name}&late") == 200
    late = {f"/who?{talk.name}&late" for talk in found}
    eventually("and those after it", lambda: late <= set(lines(log)))
    assert {path: count for path, count in lines(log).items() if path in told | late and count != 1} == {}


def test_a_client_behind_an_l4_node_is_named_by_its_own_address(lab: Lab) -> None:
    gateways = ("gw1", "gw2")
    logs = [Log(lab, gateway) for gateway in gateways]
    with talks(lab, 3, demo.eip(lab), gateways) as found:
        for talk in found:
            for n in range(3):
                assert talk.ask(f"/who?{talk.name}&eip={n}") == 200
    told = {path for talk in found for path in talk.exchanges}
    eventually("every request has its line", lambda: told <= {path for log in logs for path in lines(log)})
    entries = [entry for log in logs for entry in log.entries() if entry.get("path") in told]
    assert {entry["client"] for entry in entries} == {CLIENT}
    assert sum(entry.get("spliced", False) for entry in entries) >= 6


def killed(lab: Lab, sock: socket.socket) -> None:
    """End the splice of a client's socket by hand."""
    host, port = sock.getsockname()
    run(lab, "gw1", [services.unilb(), "sessions", "--spliced", "--kill", f"{host}:{port}"])


@pytest.fixture
def echo(lab: Lab) -> Iterator[None]:
    """An endpoint of tunnels on web1; the next file has its own there."""
    echo = spawn(lab, "web1", "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
    yield
    process.stop([echo], 5)


@pytest.mark.usefixtures("echo")
def test_a_tunnel_that_the_node_ends_has_one_line_with_what_passed(lab: Lab) -> None:
    web1 = lab.topology.machines["web1"].address
    nodes = {f"{web1}:{echo_upgraded.PORT}": 1}
    put(lab, "/apisix/admin/upstreams/tunnel-logged", {"type": "roundrobin", "nodes": nodes})
    route = {"host": host_of("tunnel"), "uri": "/*", "upstream_id": "tunnel-logged", "enable_websocket": True}
    put(lab, f"/apisix/admin/routes/{logged('tunnel')}", route)
    log, kind = Log(lab, "gw1"), "unilb_splices_made_total kind=opaque"
    before = metrics(lab, "gw1").get(kind, 0)

    def opened() -> socket.socket | None:
        with contextlib.suppress(OSError):
            return upgraded(lab, GW1, host_of("tunnel"))
        return None

    def ends() -> list[dict[str, object]]:
        return [entry for entry in log.entries() if entry.get("spliced") and entry.get("splice") == "opaque"]

    with eventually("it is routed", opened) as sock:
        eventually("it is spliced", lambda: metrics(lab, "gw1").get(kind, 0) > before)
        assert comes_back(sock, 500)
        killed(lab, sock)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        end = eventually("its end has a line", ends)
    with eventually("another", opened) as sock:
        eventually("is spliced", lambda: metrics(lab, "gw1").get(kind, 0) > before + 1)
        assert comes_back(sock, 70)
    eventually("its end has a line, too", lambda: len(ends()) > 1)
    fields = ("client", "route", "bytes_in", "bytes_out", "error", "error_source")
    assert [tuple(each[field] for field in fields) for each in ends()] == [
        (CLIENT, logged("tunnel"), 500, 500, "killed", "internal"),
        (CLIENT, logged("tunnel"), 70, 70, None, None),
    ]
    assert end[0]["stream_ms"] > 0  # type: ignore[operator]


def test_a_request_that_the_node_ends_has_one_line_with_a_status_of_its_own(lab: Lab) -> None:
    log = Log(lab, "gw1")
    with talks(lab, 3) as found:
        for talk in found:
            for n in range(6):  # a PUT is decided anew, once
                assert talk.ask(f"/upload/cut-{talk.name}?{n}", b"x" * 50) in (201, 204)
            path = f"/upload/cut-{talk.name}?short"
            head = f"PUT {path} HTTP/1.1\r\nHost: {host_of(talk.name)}\r\nContent-Length: 9\r\n\r\n".encode()
            before = spliced_requests(lab)
            talk.sock.sendall(head + b"four")
            eventually("it is carried", lambda before=before: spliced_requests(lab) > before)  # type: ignore[misc]
            talk.exchanges[path] = len(head) + 4, 0
            killed(lab, talk.sock)
            with pytest.raises(ConnectionResetError):
                talk.sock.recv(1)
    told = {path: sizes for talk in found for path, sizes in talk.exchanges.items()}
    eventually("every request has its line", lambda: set(told) <= set(lines(log)))
    assert {path: count for path, count in lines(log).items() if path in told and count != 1} == {}
    ended = {entry["path"]: entry for entry in log.entries() if entry.get("path", "").endswith("?short")}
    fields = ("spliced", "status", "upstream_status", "error", "error_source", "bytes_in", "bytes_out")
    assert {path: tuple(entry[field] for field in fields) for path, entry in ended.items()} == {
        path: (True, 502, None, "killed", "internal", *sizes) for path, sizes in told.items() if path in ended
    }
    assert len(ended) == len(found)


def test_who_writes_the_lines_is_replaced_when_it_dies(lab: Lab) -> None:
    log = Log(lab, "gw1")
    with talks(lab, 3) as found:
        before = pids(lab, "gw1", "userspace.spliced.process")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        eventually("there is another", lambda: pids(lab, "gw1", "userspace.spliced.process") - before)
        told = set()
        for talk in found:
            for n in range(3):
                told.add(f"/who?{talk.name}&again={n}")
                assert talk.ask(f"/who?{talk.name}&again={n}") == 200
    assert len(before) == 1
    eventually("every request has its line", lambda: told <= set(lines(log)))
    assert {path: count for path, count in lines(log).items() if path in told and count != 1} == {}
