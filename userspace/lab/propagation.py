"""How long a change takes from the Admin API's answer until every worker of every gateway routes by it."""

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import quantiles

from userspace.lab.apply import LabError
from userspace.lab.exec import connect
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

GATEWAY_PORT = 80
MAX_TRIES = 64  # connections opened to one gateway until each of its workers has one
HOST = "propagation.example.com"


@dataclass(frozen=True, slots=True)
class Propagation:
    """Milliseconds from answer to last effect, sorted; `workers` in all."""

    samples: tuple[float, ...]
    workers: int

    def percentile(self, percent: int) -> float:
        return quantiles(self.samples, n=100, method="inclusive")[percent - 1]


def measure(lab: Lab, changes: int, workers: int) -> Propagation:
    """Create `changes` routes, one after the other, and watch each come into force. workers: per gateway.

    One kept connection to each worker asks all the time, as clients would. Raises LabError, OSError.
    """
    gateways = [str(m.address) for m in lab.topology.of_role("gateway")]
    connections = [c for address in gateways for c in _one_to_each_worker(lab, address, workers)]
    try:
        with ThreadPoolExecutor(len(connections)) as pool:
            samples = [_one_change(lab, pool, connections, number) for number in range(changes)]
    finally:
        for connection in connections:
            connection.close()
        for number in range(changes):
            admin(lab, "DELETE", f"/apisix/admin/routes/propagation-{number}")
    return Propagation(tuple(sorted(samples)), len(connections))


def _one_to_each_worker(lab: Lab, address: str, workers: int) -> list[http.client.HTTPConnection]:
    found: dict[str, http.client.HTTPConnection] = {}
    for _ in range(MAX_TRIES):
        connection = http.client.HTTPConnection(address, GATEWAY_PORT)
        connection.sock = connect(lab, lab.topology.control.name, (address, GATEWAY_PORT))
        worker = _ask(connection, "/")[1]
        if not worker or worker in found:
            connection.close()
        else:
            found[worker] = connection
        if len(found) == workers:
            return list(found.values())
    for connection in found.values():
        connection.close()
    raise LabError(f"{address}: {len(found)} of {workers} workers answered {MAX_TRIES} connections")


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    """Return status and the worker that answered."""
    connection.request("GET", path, headers={"Host": HOST, "X-Unilb-Debug": "revision"})
    response = connection.getresponse()
    response.read()
    return response.status, response.getheader("X-Unilb-Worker") or ""


def _one_change(
    lab: Lab, pool: ThreadPoolExecutor, connections: Sequence[http.client.HTTPConnection], number: int
) -> float:
    """Return milliseconds until the slowest worker routed by the change; 0 when all did before the API answered."""
    path = f"/propagation-{number}"
    route = {"uri": path, "host": HOST, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:9": 1}}}
    waits = [pool.submit(_until_routed, connection, path) for connection in connections]
    reply = admin(lab, "PUT", f"/apisix/admin/routes/propagation-{number}", route)
    answered = time.monotonic()
    if reply.status not in (200, 201):
        raise LabError(f"PUT of a route: {reply.status} {reply.body!r}")
    return max(0.0, (max(wait.result() for wait in waits) - answered) * 1000)


def _until_routed(connection: http.client.HTTPConnection, path: str) -> float:
    """Ask until the path is routed (its endpoint refuses: 502); return when that was."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if _ask(connection, path)[0] == 502:
            return time.monotonic()
        time.sleep(0.0005)
    raise LabError(f"{path} is not in force on {connection.host} after 10 s")
