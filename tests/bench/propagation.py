"""From the Admin API's answer to first effect on every worker of two gateways, at 10, 10,000 and 100,000 routes.

Beside it: private memory per route and worker, and what a gateway's start with that many routes takes.
"""

import json
import os
import sys
import time
from pathlib import Path

from tests.bench.region import region
from tests.bench.report import publish
from userspace.lab import services
from userspace.lab.client import request
from userspace.lab.demo import WORKERS
from userspace.lab.exec import run as run_in
from userspace.lab.lab import Lab
from userspace.lab.propagation import measure
from userspace.lab.services import ETCD_PORT, METRICS_PORT, Service

SIZES = (10, 10_000, 100_000)
ROUNDS = 3
CHANGES = 100
TICKS = os.sysconf("SC_CLK_TCK")
REPOSITORY = Path(__file__).resolve().parents[2]
# Seconds until every worker has taken a load, or serves after a start.
PATIENCE = 600.0


def fill(lab: Lab, first: int, end: int) -> None:
    """Load routes and wait until every worker routes by them."""
    etcd = lab.topology.control
    script = f"cd {REPOSITORY} && {sys.executable} -m tests.bench.load_routes"
    line = f"{script} etcd://{etcd.address}:{ETCD_PORT} {first} {end}"
    revision = int(run_in(lab, etcd.name, ["sh", "-c", line], timeout=PATIENCE).stdout)
    for gateway in lab.topology.of_role("gateway"):
        wait(lab, gateway.name, revision)


def wait(lab: Lab, name: str, revision: int) -> None:
    """Wait until all workers of a gateway serve `revision`."""
    url = f"http://{lab.topology.machines[name].address}:{METRICS_PORT}/healthz"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            state = json.loads(request(lab, name, "GET", url, timeout=PATIENCE).body)
        except OSError:
            state = {"workers": {}}
        served = state["workers"].values()
        if len(served) == WORKERS and min(served) >= revision:
            return
        time.sleep(0.05)
    raise SystemExit(f"{name} is not at revision {revision} after {PATIENCE} s")


def node(lab: Lab, name: str) -> Service:
    return next(s for s in services.services(lab) if (s.place, s.name) == (name, "node"))


def workers(lab: Lab, name: str) -> list[int]:
    running = services.running(lab, node(lab, name))
    assert running is not None
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"userspace.proxy.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def private_bytes(pid: int) -> int:
    """Memory that is this process's alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start(lab: Lab, name: str) -> tuple[float, float]:
    """Replace a gateway's node by one that starts from nothing; return seconds until it serves, and CPU seconds."""
    service = node(lab, name)
    services.stop(lab, service, grace=60)
    started = time.monotonic()
    services.start(lab, service)
    services.wait_until_ready(lab, service, PATIENCE)
    taken = time.monotonic() - started
    running = services.running(lab, service)
    assert running is not None
    return taken, cpu_seconds(running.pid) + sum(cpu_seconds(pid) for pid in workers(lab, name))


def run() -> None:
    samples: dict[str, dict[str, tuple[list[float], str]]] = {}
    with region() as lab:
        first, base = 0, 0.0
        gateway = lab.topology.of_role("gateway")[0].name
        for size in SIZES:
            fill(lab, first, size)
            first = size
            found: dict[str, tuple[list[float], str]] = {}
            samples[f"{size} routes"] = found
            for _ in range(ROUNDS):
                measured = measure(lab, CHANGES, WORKERS)
                for percent in (50, 99):
                    found.setdefault(f"p{percent}", ([], "ms"))[0].append(measured.percentile(percent))
            taken, cpu = start(lab, gateway)
            found["start"], found["start, CPU"] = ([taken], "s"), ([cpu], "s")
            memory = [private_bytes(pid) for pid in workers(lab, gateway)]
            base = base or min(memory)
            if size > SIZES[0]:
                found["per route and worker"] = ([(bytes_ - base) / size for bytes_ in memory], "bytes")
    publish("propagation", ROUNDS, samples)
