"""Two thousand spliced connections without a process, then with the next ones; five hundred while endpoints change."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.netns import echo_upgraded
from tests.netns.conftest import built
from tests.netns.crowd import Hammer, allow_descriptors, broken, comes_back, machine, opened, upgraded
from tests.netns.load import load
from tests.netns.observe import eventually, metrics, service, worker_pids
from tests.netns.splices import GW1, put
from tests.said import SAID
from userspace.lab import services
from userspace.lab.exec import run, spawn
from userspace.lab.lab import Lab
from userspace.lab.topology import Topology

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]
HOST, TUNNEL_HOST = "crowd.example.com", "ws.example.com"
KEPT, TUNNELS, HAMMERING = 1000, 1000, 500
UPGRADED = 50  # of each kind
GUARDED, OPAQUE = "unilb_splices state=active kind=guarded", "unilb_splices state=active kind=opaque"


def balance(lab: Lab, **weights: int) -> None:
    """Let these machines answer."""
    nodes = {f"{lab.topology.machines[name].address}:80": weight for name, weight in weights.items()}
    put(lab, "/apisix/admin/upstreams/crowd", {"type": "roundrobin", "nodes": nodes})


@pytest.fixture(scope="module")
def lab(region: Topology) -> Iterator[Lab]:
    allow_descriptors(KEPT + TUNNELS + HAMMERING)
    for lab in built("e2ecrowd", region):
        spawn(lab, "web1", "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
        balance(lab, web1=1, web2=1)
        put(lab, "/apisix/admin/routes/crowd", {"host": HOST, "uri": "/*", "upstream_id": "crowd", "splice": "auto"})
        node = {f"{lab.topology.machines['web1'].address}:9000": 1}
        put(lab, "/apisix/admin/upstreams/tunnels", {"type": "roundrobin", "nodes": node})
        tunnels = {"host": TUNNEL_HOST, "uri": "/*", "upstream_id": "tunnels", "enable_websocket": True}
        put(lab, "/apisix/admin/routes/tunnels", tunnels)
        wait_until_served(lab)
        yield lab


def wait_until_served(lab: Lab) -> None:
    def serves() -> bool:
        with (
            contextlib.suppress(AssertionError, OSError),
            opened(lab, GW1) as first,
            upgraded(lab, GW1, TUNNEL_HOST) as second,
        ):
            return bool(machine(first, HOST)) and comes_back(second)
        return False

    eventually("both are served", serves)


def met(lab: Lab) -> set[str]:
    """Who answers some new connections, of either worker."""
    found = set()
    for _ in range(8):
        with opened(lab, GW1) as sock:
            found.add(machine(sock, HOST))
    return found


def kept(lab: Lab, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Connections that the kernel carries: enough has been asked on each."""
    before = metrics(lab, "gw1").get(GUARDED, 0)
    socks = [stack.enter_context(opened(lab, GW1)) for _ in range(count)]
    for _ in range(3):
        assert not broken(socks, lambda sock: machine(sock, HOST))

    def all_spliced() -> bool:
        if metrics(lab, "gw1").get(GUARDED, 0) >= before + count:
            return True
        # What was refused once (a packet came in between) is asked for again at a later request.
        assert not broken(socks, lambda sock: machine(sock, HOST))
        return False

    eventually("all are spliced", all_spliced, within=60)
    return socks


def carried(lab: Lab, tunnels: list[socket.socket]) -> None:
    """Wait until the kernel has all of these, and no others."""
    # One that its worker could not ask for at its first bytes (it has yet to hear of the epoch, or 64 questions are
    # open) is asked for at its next.
    assert not broken(tunnels, comes_back)
    eventually("all tunnels are spliced", lambda: metrics(lab, "gw1").get(OPAQUE, 0) == len(tunnels))


def listed(lab: Lab, *options: str) -> list[dict[str, object]]:
    argv = [services.unilb(), "sessions", "--spliced", "--json", "--limit", "5000", *options]
    return [json.loads(line) for line in run(lab, "gw1", argv).stdout.splitlines()]


def active(lab: Lab) -> tuple[float, float]:
    found = metrics(lab, "gw1")
    return found.get(GUARDED, 0), found.get(OPAQUE, 0)


def kill(lab: Lab) -> None:
    """SIGKILL for the node, then for all of its workers."""
    running = services.running(lab, service(lab, "gw1"))
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    for pid in worker_pids(lab, "gw1"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually("nobody is left", lambda: not worker_pids(lab, "gw1"))
    eventually("the node is gone", lambda: services.running(lab, service(lab, "gw1")) is None)


def start(lab: Lab, *options: str) -> None:
    node = service(lab, "gw1")
    services.start(lab, replace(node, argv=(*node.argv, *options)))
    services.wait_until_ready(lab, node, 60)


def test_two_thousand_connections_outlive_every_process(lab: Lab) -> None:
    with contextlib.ExitStack() as stack:
        outlive(lab, stack)


def outlive(lab: Lab, stack: contextlib.ExitStack) -> None:
    begun = time.monotonic()
    tunnels = [stack.enter_context(upgraded(lab, GW1, TUNNEL_HOST)) for _ in range(TUNNELS)]
    carried(lab, tunnels)
    requests = kept(lab, KEPT, stack)
    made_in = time.monotonic() - begun

    kill(lab)
    for _ in range(2):
        assert not broken(requests, lambda sock: machine(sock, HOST)), "nothing runs"
        assert not broken(tunnels, comes_back), "nothing runs"
    start(lab)
    assert not broken(tunnels, comes_back)
    assert active(lab) == (KEPT, TUNNELS)
    ports = {sock.getsockname()[1] for sock in (*requests, *tunnels)}
    assert ports == {int(str(row["client"]).rpartition(":")[2]) for row in listed(lab, "--state", "active")}
    # What was decided by the process that is dead comes back once, is decided anew, and may leave again.
    for _ in range(6):
        assert not broken(requests, lambda sock: machine(sock, HOST)), "the next node"

    balance(lab, web1=1, web2=0)
    eventually("nobody is sent to web2", lambda: met(lab) == {"web1"})
    assert not broken(requests, lambda sock: machine(sock, HOST) == "web1"), "drained"
    assert not broken(tunnels, comes_back), "drained"

    kill(lab)
    start(lab, "--max-splice-age", "1")
    eventually("all are aged out", lambda: active(lab) == (0, 0), within=60)
    assert broken(tunnels, comes_back).total() == TUNNELS
    kill(lab)
    start(lab)
    balance(lab, web1=1, web2=1)
    SAID.append(f"{KEPT} kept connections and {TUNNELS} tunnels spliced (in {made_in:.0f} s): none broke by SIGKILL")


def end(lab: Lab, number: signal.Signals) -> None:
    """End the node alone, by this signal."""
    running = services.running(lab, service(lab, "gw1"))
    assert running is not None
    os.kill(running.pid, number)
    eventually("the node has ended", lambda: services.running(lab, service(lab, "gw1")) is None, within=60)


def end_by_command(lab: Lab, *which: str) -> str:
    return run(lab, "gw1", [services.unilb(), "sessions", "--spliced", "--kill", *which]).stdout


def test_the_gateway_is_replaced_under_load_and_spliced_connections_do_not_notice(lab: Lab) -> None:
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(upgraded(lab, GW1, TUNNEL_HOST)) for _ in range(UPGRADED)]
        carried(lab, tunnels)
        hammer = Hammer(kept(lab, UPGRADED, stack), HOST)
        thread = threading.Thread(target=hammer.run)
        thread.start()
        try:
            replaced(lab, hammer, tunnels)
        finally:
            hammer.is_over = True
            thread.join()
        assert not hammer.failed
        assert f"{UPGRADED} splices ended" in end_by_command(lab, ":9000", "--state", "active")
        eventually("the tunnels are gone", lambda: active(lab)[1] == 0)
        assert broken(tunnels, comes_back).total() == UPGRADED


def replaced(lab: Lab, hammer: Hammer, tunnels: list[socket.socket]) -> None:
    """At once, with the old workers serving until the new ones do; then in order, with a time without anybody."""

    def go_on() -> None:
        seen = len(hammer.answers)
        eventually("they hammer on", lambda: len(hammer.answers) > seen + 10 * UPGRADED or bool(hammer.failed))
        assert not broken(tunnels, comes_back)
        assert not hammer.failed

    go_on()
    old = worker_pids(lab, "gw1")
    with load(lab, GW1) as unspliced:
        end(lab, signal.SIGKILL)
        go_on()
        unspliced.more()
        start(lab)
        eventually("the old workers have gone", lambda: not worker_pids(lab, "gw1") & old, within=60)
        go_on()
        unspliced.more()
    assert unspliced.failed == {}
    eventually("all are spliced anew", lambda: active(lab) == (UPGRADED, UPGRADED))
    end(lab, signal.SIGTERM)
    assert not worker_pids(lab, "gw1")
    go_on()
    start(lab)
    go_on()
    eventually("all are spliced anew", lambda: active(lab) == (UPGRADED, UPGRADED))


def test_no_request_after_a_change_meets_the_old_endpoint_though_500_clients_hammer(lab: Lab) -> None:
    stack = contextlib.ExitStack()
    hammer = Hammer(kept(lab, HAMMERING, stack), HOST)
    thread = threading.Thread(target=hammer.run)
    thread.start()
    try:
        eventually("they hammer", lambda: len(hammer.answers) > 10 * HAMMERING)
        changes = []
        for name, other in (("web1", "web2"), ("web2", "web1"), ("web1", "web2")):
            balance(lab, **{name: 1})
            eventually(
                "it is in force",
                lambda name=name: met(lab) == {name},  # type: ignore[misc]
            )
            changes.append((time.monotonic(), other))
            seen = len(hammer.answers)
            eventually("they hammer on", lambda seen=seen: len(hammer.answers) > seen + 10 * HAMMERING)  # type: ignore[misc]
            changes.append((time.monotonic(), ""))
    finally:
        hammer.is_over = True
        thread.join()
        stack.close()
    balance(lab, web1=1, web2=1)
    assert not hammer.failed
    for (since, gone), (until, _) in zip(changes[::2], changes[1::2], strict=True):
        late = [begun for begun, who in hammer.answers if who == gone and since <= begun < until]
        assert not late, f"{len(late)} requests after the change were answered by {gone}"
    SAID.append(
        f"endpoint replaced 3 times under {HAMMERING} spliced clients: {len(hammer.answers)} requests, none astray"
    )
