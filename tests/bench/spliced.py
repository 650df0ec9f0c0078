"""Spliced connections beside unspliced ones, other systems, the kernel's own routing and nothing, on the same wires.

In a region of namespaces: the client machine loads gateway gw1, whose only endpoint is web1. unilb has one worker
there, every other system (others.py) one thread, and forwards to web1; `kernel-routing` sends to web1 itself, both ways
over gw1, which routes; `direct` does so past gw1. All take turns. CPU: of every process of the system itself; what the
kernel does for a packet between namespaces is in none of them. SPLICED_ROUNDS and SPLICED_SECONDS say how much of it,
SPLICED_PARTS which of small, bulk, connect, tls, effect, tunnels.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import effect, idle_tunnels, others
from tests.bench.peers import cpu
from tests.bench.region import region
from tests.bench.report import Ratio, publish
from tests.bench.wrk import Seen, wrk
from tests.control.certificates import pair
from tests.netns.observe import service
from tests.netns.splices import put
from userspace.lab import services
from userspace.lab.exec import run as execute
from userspace.lab.lab import Lab

ROUNDS = int(os.environ.get("SPLICED_ROUNDS", 3))
SECONDS = int(os.environ.get("SPLICED_SECONDS", 4))
PARTS = os.environ.get("SPLICED_PARTS", "small bulk connect tls effect tunnels").split()
CONNECTIONS = 50
GATEWAY, ENDPOINT, OTHER, CLIENT = "10.1.0.11", "10.1.0.21", "10.2.0.22", "203.0.113.9"
PAST = "10.1.0.121"  # the endpoint's other address, whose packets do not pass the gateway
HOST = "bench.example.com"
SMALL, BULK = "/size/1024", f"/size/{1 << 20}"
OURS = {"unilb-spliced": "auto", "unilb-worker": "off"}
BARE = {"kernel-routing": ENDPOINT, "direct": PAST}
OPTIONS = ("--workers", "1", "--listen-tls", "0.0.0.0:443", "--access-log", "off", "--set", "idle_timeout=3600")
OPTIONS += ("--set", "max_connections_per_endpoint=20000", "--set", "max_requests_per_connection=0")
Samples = dict[str, dict[str, tuple[list[float], str]]]


@dataclass(frozen=True)
class Bench:
    """pids: the first process of each system that has one."""

    lab: Lab
    pids: dict[str, int]

    def systems(self, *which: str) -> list[str]:
        """Return those that are there, ours first."""
        known = [*OURS, *others.PORTS, *BARE]
        return [name for name in known if name in which and (name in self.pids or name in BARE)]

    def policy(self, system: str) -> None:
        """Have our route be spliced, or not."""
        if system in OURS:
            route = {"host": HOST, "uri": "/*", "upstream_id": "bench", "splice": OURS[system]}
            put(self.lab, "/apisix/admin/routes/bench", route)
            time.sleep(0.3)

    def load(self, system: str, path: str, *headers: str, tls: bool = False) -> tuple[Seen, float]:
        """Return what wrk saw, and the CPU seconds of the system meanwhile."""
        port = others.PORTS.get(system, 443 - others.TLS if tls else 80)
        where = f"https://{GATEWAY}:{port + others.TLS}" if tls else f"http://{BARE.get(system, GATEWAY)}:{port}"
        before = self.cpu(system)
        seen = wrk(self.lab, where + path, CONNECTIONS, SECONDS, f"Host: {HOST}", *headers)
        return seen, self.cpu(system) - before

    def cpu(self, system: str) -> float:
        return cpu(self.pids[system]) if system in self.pids else 0.0


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    with region() as lab:
        certificate, key = pair(HOST)
        pids = others.start(lab, "gw1", GATEWAY, ENDPOINT, OTHER, certificate + key, Path(lab.state) / "bench")
        node = service(lab, "gw1")
        services.stop(lab, node)
        services.start(lab, replace(node, argv=(*node.argv, *OPTIONS)))
        services.wait_until_ready(lab, node, 60)
        ours = services.running(lab, node)
        assert ours is not None
        pids |= dict.fromkeys(OURS, ours.pid)
        # wrk names the address that it connects to.
        put(lab, "/apisix/admin/ssls/bench", {"snis": [HOST, GATEWAY], "cert": certificate, "key": key})
        put(lab, "/apisix/admin/upstreams/bench", {"type": "roundrobin", "nodes": {f"{ENDPOINT}:80": 1}})
        _routes(lab)
        yield Bench(lab, pids)


def _routes(lab: Lab) -> None:
    """Lead packets between client and endpoint over the gateway, both ways; those of PAST past it."""
    # Who ends a connection first keeps its port for a minute: with us it is the client, whose ports would run out.
    execute(lab, "client", ["sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1"])
    for place in ("router", "gw1", "web1"):
        for key, value in (("ip_forward", 1), ("conf.all.send_redirects", 0), ("conf.all.rp_filter", 0)):
            execute(lab, place, ["sysctl", "-qw", f"net.ipv4.{key}={value}"])
        for device in execute(lab, place, ["ls", "/proc/sys/net/ipv4/conf"]).stdout.split():
            for key in ("send_redirects", "rp_filter", "accept_redirects"):
                execute(lab, place, ["sysctl", "-qw", f"net.ipv4.conf.{device}.{key}=0"])
    [straight] = json.loads(execute(lab, "web1", ["ip", "-j", "route", "show", "default"]).stdout)
    execute(lab, "web1", ["ip", "address", "add", f"{PAST}/32", "dev", straight["dev"]])
    execute(lab, "web1", ["ip", "route", "add", "default", "via", straight["gateway"], "table", "100"])
    execute(lab, "web1", ["ip", "rule", "add", "from", PAST, "table", "100"])
    for place, to, over in (("router", ENDPOINT, GATEWAY), ("web1", CLIENT, GATEWAY)):
        execute(lab, place, ["ip", "route", "replace", f"{to}/32", "via", over])


def measure(name: str, bench: Bench, systems: list[str], load: Callable[[str], tuple[Seen, float]]) -> None:
    """Let each be loaded in turns, and publish what came of it, beside ours (the first)."""
    samples: Samples = {system: {} for system in systems}
    for _ in range(ROUNDS):
        for system in systems:
            bench.policy(system)
            seen, used = load(system)
            figures = {"requests": (seen.requests, "1/s"), "p50": (seen.p50, "ms"), "p99": (seen.p99, "ms")}
            figures["p999"] = (seen.p999, "ms")
            if system in bench.pids:
                figures["cpu"] = (used / (seen.requests * SECONDS) * 1e6, "us/req")
            for metric, (value, unit) in figures.items():
                samples[system].setdefault(metric, ([], unit))[0].append(value)
    ratios = [Ratio(systems[0], other, metric) for other in systems[1:] for metric in ("requests", "p99")]
    publish(name, ROUNDS, samples, ratios)


def run() -> None:
    with bench() as found:
        everyone = found.systems(*OURS, *others.PORTS, *BARE)
        # A connection with one request is never spliced, nor is one of TLS: the worker's own figures.
        unspliced = [system for system in everyone if system != "unilb-spliced"]
        secured = found.systems("unilb-worker", *others.PORTS)
        processes = {name: found.pids[name] for name in (*OURS, *secured[1:])}
        if "small" in PARTS:
            measure("spliced-small", found, everyone, lambda system: found.load(system, SMALL))
        if "bulk" in PARTS:
            measure("spliced-bulk", found, everyone, lambda system: found.load(system, BULK))
        if "connect" in PARTS:
            closing = "Connection: close"
            measure("spliced-connect", found, unspliced, lambda system: found.load(system, SMALL, closing))
        if "tls" in PARTS:
            measure("spliced-tls", found, secured, lambda system: found.load(system, SMALL, tls=True))
        if "effect" in PARTS:
            folder = Path(found.lab.state) / "bench"
            effect.measure(found.lab, GATEWAY, HOST, folder, processes, ROUNDS, found.policy)
        if "tunnels" in PARTS:
            idle_tunnels.measure(found.lab, GATEWAY, ENDPOINT, processes)
