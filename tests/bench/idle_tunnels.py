"""Memory of idle WebSockets: resident bytes of all processes of a system, after TUNNELS of them less before.

Kernel memory is in none of them: a proxy that carries a tunnel has two sockets for it there, a splice 440 bytes of a
map and one socket, its lease of the endpoint's port.
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench import others
from tests.bench.peers import Peer
from tests.bench.report import Ratio, publish
from tests.netns import echo_upgraded
from tests.netns.crowd import allow_descriptors, comes_back, upgraded
from tests.netns.splices import put
from userspace.lab.exec import spawn
from userspace.lab.lab import Lab

TUNNELS = 9_000  # a proxy needs two descriptors for each, and a container may have 20,000
SETTLE_SECONDS = 2.0


def measure(lab: Lab, gateway: str, endpoint: str, pids: dict[str, int]) -> None:
    """pids: the first process of each system; ours twice, spliced and not."""
    allow_descriptors(TUNNELS + 100)
    spawn(lab, "web1", "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
    nodes = {f"{endpoint}:{echo_upgraded.PORT}": 1}
    put(lab, "/apisix/admin/upstreams/tunnels", {"type": "roundrobin", "nodes": nodes})
    samples = {}
    for system, pid in pids.items():
        route = {"host": others.TUNNELS, "uri": "/*", "upstream_id": "tunnels", "enable_websocket": True}
        policy = "opaque" if system == "unilb-spliced" else "off"
        put(lab, "/apisix/admin/routes/tunnels", route | {"splice": policy})
        time.sleep(0.5)
        peer = Peer(pid, others.PORTS.get(system, 80))
        samples[system] = {"memory": ([_memory(lab, gateway, peer)], "B/tunnel")}
    ours, *rest = samples
    publish("spliced-tunnels", 1, samples, [Ratio(ours, other, "memory") for other in rest])


def _memory(lab: Lab, gateway: str, peer: Peer) -> float:
    with ExitStack() as stack:
        for _ in range(10):  # warm
            stack.enter_context(upgraded(lab, gateway, others.TUNNELS, peer.port))
        time.sleep(SETTLE_SECONDS)
        before = peer.rss
        tunnels = [stack.enter_context(upgraded(lab, gateway, others.TUNNELS, peer.port)) for _ in range(TUNNELS)]
        assert all(comes_back(sock) for sock in tunnels[:: TUNNELS // 100])
        time.sleep(SETTLE_SECONDS)
        return (peer.rss - before) / TUNNELS
