"""Processes killed, drained and replaced under requests; what they leave to the kernel and to their successors."""

import hashlib
import http.client
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.netns.conftest import built
from tests.netns.load import load
from tests.netns.observe import eventually, health, kept, metrics, service, sha256_of, worker_pids
from userspace.lab import demo, services
from userspace.lab.exec import connect, run
from userspace.lab.lab import Lab
from userspace.lab.publish import admin
from userspace.lab.services import Service
from userspace.lab.topology import Topology
from userspace.node.abi import ABI_VERSION

pytestmark = pytest.mark.netns
GW1 = "10.1.0.11"
LINKS = {"vpc_egress", "vxlan_ingress", "dsr_egress", "toa_read", "toa_peername", "toa_peername6"}
SIZE = 100 << 20


@pytest.fixture(scope="module")
def mortal(region: Topology) -> Iterator[Lab]:
    """A region of this file's own, for it to break."""
    yield from built("e2elife", region)


@pytest.fixture(autouse=True)
def everything_runs(mortal: Lab) -> Iterator[None]:
    """Whatever a test leaves dead runs again for the next."""
    yield
    for found in services.services(mortal):
        if services.running(mortal, found) and services.unready(mortal, found):
            services.stop(mortal, found, 0)
    services.up(mortal)


def pid_of(lab: Lab, wanted: Service) -> int:
    found = services.running(lab, wanted)
    assert found is not None, f"{wanted.name} on {wanted.place} does not run"
    return found.pid


def end(lab: Lab, wanted: Service, number: signal.Signals) -> None:
    """Send a service's process a signal and wait until it has ended."""
    os.kill(pid_of(lab, wanted), number)
    eventually(f"{wanted.name} on {wanted.place} has ended", lambda: services.running(lab, wanted) is None, within=60)


def start(lab: Lab, wanted: Service) -> None:
    services.start(lab, wanted)
    services.wait_until_ready(lab, wanted, 60)


class NodeLog:
    """What a node's log says from now on."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.file = lab.log(node, "node")
        self.start = self.file.stat().st_size

    def text(self) -> str:
        return self.file.read_bytes()[self.start :].decode()


def ask(connection: http.client.HTTPConnection, host: str = "blue.example.com") -> int:
    connection.request("GET", "/who", headers={"Host": host})
    response = connection.getresponse()
    response.read()
    return response.status


def pinned(lab: Lab, place: str, where: str = f"{ABI_VERSION}/links") -> set[str]:
    return set(run(lab, place, ["ls", f"/sys/fs/bpf/unilb/{where}"], check=False).stdout.split())


def test_a_killed_worker_is_replaced_no_retried_request_fails_and_no_total_goes_back(mortal: Lab) -> None:
    def totals() -> dict[str, float]:
        names = ("apisix_http_requests_total", "unilb_connections_accepted_total", "unilb_upstream_connects_total")
        return {name: n for name, n in metrics(mortal, "gw1").items() if name.partition(" ")[0] in names}

    before = worker_pids(mortal, "gw1")
    assert len(before) == demo.WORKERS
    victim = min(before)
    seen = [totals()]

    def replaced() -> bool:
        seen.append(totals())
        now = worker_pids(mortal, "gw1")
        return victim not in now and len(now) == demo.WORKERS and len(health(mortal, "gw1")["workers"]) == demo.WORKERS

    with load(mortal, GW1, tries=2) as requests:
        os.kill(victim, signal.SIGKILL)
        eventually("another worker is in its place", replaced)
        requests.more()
        seen.append(totals())
    assert requests.failed == {}
    for earlier, later in zip(seen, seen[1:], strict=False):
        assert all(later[name] >= n for name, n in earlier.items()), (earlier, later)
    assert seen[-1]["apisix_http_requests_total"] > seen[0]["apisix_http_requests_total"]
    assert metrics(mortal, "gw1")["unilb_worker_restarts_total"] == 1
    assert worker_pids(mortal, "gw1") - before  # the other one is still the same
    assert (before - {victim}) <= worker_pids(mortal, "gw1")


def test_a_killed_gateway_node_leaves_workers_and_datapath_and_the_next_takes_over(mortal: Lab) -> None:
    node, old = service(mortal, "gw1"), worker_pids(mortal, "gw1")
    with load(mortal, GW1) as requests, kept(mortal, GW1) as connection:
        assert ask(connection) == 200
        end(mortal, node, signal.SIGKILL)
        assert worker_pids(mortal, "gw1") == old
        assert pinned(mortal, "gw1") == LINKS
        requests.more()
        assert ask(connection) == 200
        late = {"host": "late.example.com", "uri": "/*", "upstream_id": "blue"}
        assert admin(mortal, "PUT", "/apisix/admin/routes/late", late).status == 201
        log = NodeLog(mortal, "gw1")
        start(mortal, node)
        assert "gw1: adopted" in log.text()
        eventually("the old workers have gone", lambda: not worker_pids(mortal, "gw1") & old, within=60)
        requests.more()
    assert requests.failed == {}
    assert len(worker_pids(mortal, "gw1")) == demo.WORKERS
    assert pinned(mortal, "gw1") == LINKS
    for _ in range(4):
        with kept(mortal, GW1) as connection:  # what changed while there was no node
            assert ask(connection, "late.example.com") == 200
    assert admin(mortal, "DELETE", "/apisix/admin/routes/late").status == 200


def test_a_killed_l4_node_loses_no_request_and_the_next_goes_on_counting(mortal: Lab) -> None:
    node, opened = service(mortal, "l4"), "unilb_datapath_events_total event=session_new"
    with load(mortal, demo.eip(mortal)) as requests, kept(mortal, demo.eip(mortal)) as connection:
        assert ask(connection) == 200
        before = metrics(mortal, "l4")[opened]
        end(mortal, node, signal.SIGKILL)
        requests.more()
        assert pinned(mortal, "l4") == {"l4_ingress", "probe_egress"}
        log = NodeLog(mortal, "l4")
        start(mortal, node)
        assert "l4: adopted" in log.text()
        assert metrics(mortal, "l4")[opened] >= before + 100
        requests.more()
        assert ask(connection) == 200  # its session is the old one
        assert eventually("a sweep has counted sessions", lambda: metrics(mortal, "l4")["unilb_sessions"]) >= 100
    assert requests.failed == {}


@pytest.fixture
def download(mortal: Lab) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPResponse]]:
    """A large download by gw1 of which the client has taken only the beginning: the gateway has to wait for it."""
    with kept(mortal, GW1, timeout=60) as connection:
        connection.request("GET", f"/size/{SIZE}", headers={"Host": "blue.example.com"})
        response = connection.getresponse()
        assert response.status == 200
        yield connection, response


def refuses(lab: Lab) -> bool:
    try:
        connect(lab, "client", (GW1, 80), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_drained_gateway_finishes_a_download_and_refuses_new_connections(
    mortal: Lab, download: tuple[http.client.HTTPConnection, http.client.HTTPResponse]
) -> None:
    connection, response = download
    node, log = service(mortal, "gw1"), NodeLog(mortal, "gw1")
    digest = hashlib.sha256(response.read(1 << 20))
    os.kill(pid_of(mortal, node), signal.SIGTERM)
    eventually("new connections are refused", lambda: refuses(mortal))
    assert services.running(mortal, node) is not None
    while piece := response.read(1 << 20):
        digest.update(piece)
    assert connection.sock.recv(1) == b""  # closed, once idle; not reset at the deadline
    assert digest.hexdigest() == sha256_of(mortal.state / "files" / str(SIZE))
    eventually("the node has ended", lambda: services.running(mortal, node) is None, within=60)
    assert "drained" in log.text()
    assert worker_pids(mortal, "gw1") == set()
    assert pinned(mortal, "gw1") == LINKS


def test_a_download_that_does_not_end_is_cut_at_the_deadline(mortal: Lab) -> None:
    node = service(mortal, "gw1")
    end(mortal, node, signal.SIGTERM)
    start(mortal, replace(node, argv=(*node.argv, "--set", "drain_deadline=1")))
    with kept(mortal, GW1, timeout=60) as connection:
        connection.request("GET", f"/size/{SIZE}", headers={"Host": "blue.example.com"})
        response = connection.getresponse()
        end(mortal, node, signal.SIGTERM)
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            response.read()
    assert worker_pids(mortal, "gw1") == set()


def test_traffic_outlives_the_store_and_later_changes_arrive(mortal: Lab) -> None:
    etcd = service(mortal, "etcd", "etcd")
    with load(mortal, demo.eip(mortal)) as requests:
        end(mortal, etcd, signal.SIGKILL)
        requests.more()
        assert [health(mortal, gateway)["ready"] for gateway in ("gw1", "gw2")] == [True, True]
        start(mortal, etcd)
        late = {"host": "later.example.com", "uri": "/*", "upstream_id": "green"}
        eventually(
            "the Admin API takes a route",
            lambda: admin(mortal, "PUT", "/apisix/admin/routes/later", late).status in (200, 201),
        )
        for address in (GW1, "10.2.0.12"):
            with kept(mortal, address) as connection:
                eventually(f"{address} routes it", lambda c=connection: ask(c, "later.example.com") == 200)
    assert requests.failed == {}
    assert admin(mortal, "DELETE", "/apisix/admin/routes/later").status == 200


def test_a_detached_gateway_has_nothing_left_in_the_kernel_and_can_come_up_again(mortal: Lab) -> None:
    node = service(mortal, "gw1")
    end(mortal, node, signal.SIGTERM)
    assert pinned(mortal, "gw1") == LINKS
    assert "unilb0" in run(mortal, "gw1", ["ls", "/sys/class/net"]).stdout
    run(mortal, "gw1", [services.unilb(), "node", "--detach"])
    assert pinned(mortal, "gw1", "") == set()
    assert "unilb0" not in run(mortal, "gw1", ["ls", "/sys/class/net"]).stdout
    assert run(mortal, "gw1", ["bpftool", "--json", "net", "show", "dev", "eth0"]).stdout.count("vxlan_ingress") == 0
    log = NodeLog(mortal, "gw1")
    start(mortal, node)
    assert "gw1: loaded" in log.text()
    assert pinned(mortal, "gw1") == LINKS
    with kept(mortal, GW1) as connection:
        for host in ("classic.example.com", "blue.example.com", "green.example.com"):
            assert ask(connection, host) == 200
