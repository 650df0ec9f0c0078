"""How long a spliced connection takes to come back: its client asks for what the guard does not cover.

In a region: kept connections to gateway gw1, each spliced, ask for the path of another route, one after the other
(`one`) and CROWD at once (`crowd`); each is used once. `handed`: from the segment until the node passes the socket on;
`decided`: until the worker has decided the request. Both are read off the gateway's histograms, straight between their
bounds. `client`: what the client waits for the answer; `client, kept`: for the same request on connections that were
never spliced. HANDBACK_ROUNDS and HANDBACK_CONNECTIONS say how much of it.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from statistics import quantiles

from tests.bench.region import region
from tests.bench.report import publish
from tests.netns.observe import metrics
from tests.netns.splices import GW1, put
from userspace.lab.exec import connect
from userspace.lab.lab import Lab

ROUNDS = int(os.environ.get("HANDBACK_ROUNDS", 5))
CONNECTIONS = int(os.environ.get("HANDBACK_CONNECTIONS", 400))
CROWD = 50
WARM = 3  # requests, so that the connection is spliced and its tail acknowledged
HOSTS = {"spliced": "auto.example.com", "kept": "off.example.com"}
STAGES = {"handed": "unilb_splice_back_seconds", "decided": "unilb_splice_decided_seconds"}
PERCENTS = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
Samples = dict[str, dict[str, tuple[list[float], str]]]


def publish_routes(lab: Lab) -> None:
    """Two hosts, one spliced, each with two routes to one endpoint."""
    web1 = lab.topology.machines["web1"].address
    put(lab, "/apisix/admin/upstreams/handback", {"type": "roundrobin", "nodes": {f"{web1}:80": 1}})
    for name, host in HOSTS.items():
        splice = "auto" if name == "spliced" else "off"
        for path in ("/who", "/size/1024"):
            # What comes back stays: another hand-over would be the next millisecond of its client.
            route = {
                "host": host,
                "uri": path,
                "upstream_id": "handback",
                "splice": splice if path == "/who" else "off",
            }
            put(lab, f"/apisix/admin/routes/handback-{name}{path.replace('/', '-')}", route)


def ask(sock: socket.socket, path: str, host: str) -> None:
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def hear(sock: socket.socket) -> None:
    """Read one whole answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += _some(sock)


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    assert data, "the gateway has closed the connection"
    return data


def warm(lab: Lab, host: str) -> socket.socket:
    sock = connect(lab, "client", (GW1, 80), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(WARM):
        ask(sock, "/who", host)
        hear(sock)
    return sock


def one_after_another(lab: Lab, host: str) -> Iterator[float]:
    """Yield how long each client waits, in seconds."""
    for _ in range(CONNECTIONS):
        with warm(lab, host) as sock:
            began = time.perf_counter()
            ask(sock, "/size/1024", host)
            hear(sock)
            yield time.perf_counter() - began


def at_once(lab: Lab, host: str) -> Iterator[float]:
    for _ in range(CONNECTIONS // CROWD):
        with ExitStack() as stack, selectors.DefaultSelector() as ready:
            socks = [stack.enter_context(warm(lab, host)) for _ in range(CROWD)]
            began = {sock: time.perf_counter() for sock in socks}
            for sock in socks:
                ready.register(sock, selectors.EVENT_READ)
                began[sock] = time.perf_counter()
                ask(sock, "/size/1024", host)
            while began:
                for key, _ in ready.select(10):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    hear(sock)
                    ready.unregister(sock)
                    yield time.perf_counter() - began.pop(sock)


def percentile(before: Mapping[str, float], after: Mapping[str, float], name: str, part: float) -> float:
    """Return the part-th of what a histogram has counted in between, in seconds; NaN when that is nothing."""
    prefix = f"{name}_bucket le="
    bounds = [(float(key.removeprefix(prefix)), after[key] - before[key]) for key in after if key.startswith(prefix)]
    bounds.sort()
    wanted = part * bounds[-1][1]
    below, counted = 0.0, 0.0
    for bound, count in bounds:
        if count >= wanted and count > counted:
            return below + (min(bound, 10.0) - below) * (wanted - counted) / (count - counted)
        below, counted = bound, count
    return float("nan")


def of(waits: Sequence[float], part: float) -> float:
    return quantiles(waits, n=1000, method="inclusive")[round(part * 1000) - 1]


def run() -> None:
    ways = {"one": one_after_another, "crowd": at_once}
    samples: Samples = {name: {} for name in ways}
    with region() as lab:
        publish_routes(lab)
        time.sleep(1)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                kept = list(way(lab, HOSTS["kept"]))
                before = metrics(lab, "gw1")
                waits = list(way(lab, HOSTS["spliced"]))
                after = metrics(lab, "gw1")
                taken = samples[name]
                count = f"{STAGES['decided']}_count"
                came = after[count] - before[count]
                taken.setdefault("came back", ([], "of all"))[0].append(came / len(waits))
                for percent, part in PERCENTS.items():
                    for stage, metric in STAGES.items():
                        values = taken.setdefault(f"{stage} {percent}", ([], "ms"))[0]
                        values.append(percentile(before, after, metric, part) * 1000)
                    taken.setdefault(f"client {percent}", ([], "ms"))[0].append(of(waits, part) * 1000)
                    taken.setdefault(f"client, kept {percent}", ([], "ms"))[0].append(of(kept, part) * 1000)
    publish("handback", ROUNDS, samples)
