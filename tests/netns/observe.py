"""What tests look at from outside: logs, metrics, health, and exchanges on connections of the client machine."""

import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from userspace.lab import demo, nginx, services
from userspace.lab.client import Reply, request
from userspace.lab.demo import Way
from userspace.lab.exec import connect, run
from userspace.lab.lab import Lab
from userspace.lab.services import METRICS_PORT, Service

CLIENT = "203.0.113.9"
T = TypeVar("T")


def eventually(what: str, look: Callable[[], T], within: float = 30) -> T:
    """Look until something true is seen, and return it; fails after `within` seconds, saying what was waited for."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"after {within} s still not: {what} (last seen: {seen!r})"
        time.sleep(0.02)
    return seen


def way(lab: Lab, name: str) -> Way:
    return next(found for found in demo.ways(lab) if found.name == name)


def endpoints(lab: Lab, path: Way) -> set[str]:
    """Names of the machines or VMs behind a path."""
    if path.vpc is None:
        return {machine.name for machine in lab.topology.of_role("web")}
    return {vm.name for vm in lab.topology.vms.values() if vm.vpc == path.vpc}


class Log:
    """What an endpoint's nginx writes from now on."""

    def __init__(self, lab: Lab, place: str) -> None:
        self.file = nginx.access_log(lab, place)
        self.start = self.file.stat().st_size if self.file.exists() else 0

    def entries(self) -> list[dict[str, Any]]:
        with self.file.open("rb") as file:
            file.seek(self.start)
            return [json.loads(line) for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def of(self, uri: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries() if entry["uri"] == uri]


def logs(lab: Lab) -> dict[str, Log]:
    """A log for every endpoint of the region."""
    return {place: Log(lab, place) for path in demo.ways(lab) for place in sorted(endpoints(lab, path))}


def service(lab: Lab, place: str, name: str = "node") -> Service:
    return next(s for s in services.services(lab) if (s.place, s.name) == (place, name))


def node_says(lab: Lab, node: str, path: str) -> Reply:
    """Ask a node's own HTTP face, on its machine."""
    address = lab.topology.machines[node].address
    return request(lab, node, "GET", f"http://{address}:{METRICS_PORT}{path}", timeout=20)


def health(lab: Lab, node: str) -> Any:
    return node_says(lab, node, "/healthz").json()


def metrics(lab: Lab, node: str) -> dict[str, float]:
    """Every sample of a node's metrics, by `name` or `name label=value label=value`, labels in their order."""
    text = node_says(lab, node, "/metrics").body.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[" ".join([sample.name, *(f"{key}={value}" for key, value in sample.labels.items())])] = sample.value
    return found


def drops(lab: Lab, node: str) -> dict[str, float]:
    """Packets dropped, by reason."""
    prefix = "unilb_drops_total reason="
    return {name.removeprefix(prefix): n for name, n in metrics(lab, node).items() if name.startswith(prefix)}


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}


def restarts(lab: Lab) -> dict[str, float]:
    """How many workers of each gateway have died."""
    return {m.name: metrics(lab, m.name)["unilb_worker_restarts_total"] for m in lab.topology.of_role("gateway")}


def worker_pids(lab: Lab, gateway: str) -> set[int]:
    """Living worker processes on a gateway, of its present node and of earlier ones."""
    return pids(lab, gateway, "userspace.proxy.worker")


def pids(lab: Lab, gateway: str, module: str) -> set[int]:
    """Living processes on a gateway that run the module."""
    found = set()
    for pid in (lab.cgroup(gateway) / "cgroup.procs").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if module.encode() in words and state not in "ZX":
            found.add(int(pid))
    return found


@contextmanager
def kept(lab: Lab, address: str, timeout: float = 30) -> Iterator[http.client.HTTPConnection]:
    """A connection of the client machine's that stays open from request to request."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    connection.auto_open = 0  # it would open the next one from our own namespace
    connection.sock = connect(lab, "client", (address, 80), timeout)
    try:
        yield connection
    finally:
        connection.close()


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def checksum_errors(lab: Lab, places: Iterable[str]) -> dict[str, int]:
    """InCsumErrors of TCP, which counts both families, and UDP, by "place protocol"."""
    found = {}
    for place in places:
        rows = [line.split() for line in run(lab, place, ["cat", "/proc/net/snmp"]).stdout.splitlines()]
        for names, values in zip(rows[::2], rows[1::2], strict=True):
            if names[0] in ("Tcp:", "Udp:"):
                found[f"{place} {names[0]}"] = int(values[names.index("InCsumErrors")])
        rows6 = dict(line.split() for line in run(lab, place, ["cat", "/proc/net/snmp6"]).stdout.splitlines())
        found[f"{place} Udp6:"] = int(rows6["Udp6InCsumErrors"])
    return found
