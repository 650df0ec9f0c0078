"""From a change of the endpoint until a kept connection is answered by the other one, spliced or not.

One client asks on one connection all the time, a new one for each change; where it is closed, as by a reload, it opens
another. A change is a PUT of the upstream to the Admin API; to HAProxy two words on its runtime socket, to nginx a new
configuration and SIGHUP (what tools that make configurations do; reading their source is not counted).
"""

import http.client
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from tests.bench import others
from tests.bench.report import Ratio, publish
from tests.netns.observe import metrics
from tests.netns.splices import put
from userspace.lab.exec import connect
from userspace.lab.lab import Lab

CHANGES = int(os.environ.get("EFFECT_CHANGES", 50))
WARM = 4  # requests: by then the kernel carries the connection
PATIENCE = 10.0  # seconds
BACK = "unilb_splice_back_total reason=epoch"
Change = Callable[[str, str], None]
"""(name of the machine that is to answer, its address); returns when the change is accepted."""


def changes(lab: Lab, folder: Path, pids: dict[str, int]) -> dict[str, Change]:
    """Return how each system is told. The systems that have no cheap way are left out."""

    def by_admin_api(_: str, address: str) -> None:
        put(lab, "/apisix/admin/upstreams/bench", {"type": "roundrobin", "nodes": {f"{address}:80": 1}})

    def by_runtime_socket(name: str, _: str) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(folder / "haproxy.sock"))
            other = {"web1": "web2", "web2": "web1"}[name]
            sock.sendall(f"set server b/{name} state ready;set server b/{other} state maint\n".encode())
            sock.shutdown(socket.SHUT_WR)
            assert not (said := sock.makefile().read().strip()), said

    def by_reload(_: str, address: str) -> None:
        path = folder / "nginx.conf"
        lines = path.read_text().split("\n")
        found = [number for number, line in enumerate(lines) if "upstream origin" in line]
        before, _, after = lines[found[0]].partition("server ")
        lines[found[0]] = f"{before}server {address}:80;{after.partition(';')[2]}"
        path.write_text("\n".join(lines))
        os.kill(pids["nginx"], signal.SIGHUP)

    told: dict[str, Change] = {"unilb-spliced": by_admin_api, "unilb-worker": by_admin_api}
    told |= {"haproxy": by_runtime_socket, "nginx": by_reload}
    return {name: change for name, change in told.items() if name in pids}


class Asking:
    """A client on one connection. `broken`: how often it had to open another."""

    def __init__(self, lab: Lab, address: tuple[str, int], host: str) -> None:
        self._lab, self._address, self._host = lab, address, host
        self.broken = 0

    @contextmanager
    def kept(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(*self._address)
        connection.auto_open = 0  # it would open the next one from our own namespace
        connection.sock = connect(self._lab, "client", self._address)
        try:
            yield connection
        finally:
            connection.close()

    def until(self, connection: http.client.HTTPConnection, machine: str) -> float:
        """Ask until this machine answers; return when it did."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.who(connection) == machine:
                return time.monotonic()
        raise RuntimeError(f"{machine} has not answered {self._address} within {PATIENCE} s")

    def who(self, connection: http.client.HTTPConnection) -> str:
        try:
            connection.request("GET", "/who", headers={"Host": self._host})
            body = connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self.broken += 1
            connection.close()
            connection.sock = connect(self._lab, "client", self._address)
            return ""
        return body.partition(b'"machine": "')[2].partition(b'"')[0].decode()


def measure(
    lab: Lab, gateway: str, host: str, folder: Path, pids: dict[str, int], rounds: int, policy: Callable[[str], None]
) -> None:
    """Publish what CHANGES changes of each system take, in turns. policy: has our route be spliced, or not."""
    told = changes(lab, folder, pids)
    machines = {name: str(lab.topology.machines[name].address) for name in ("web1", "web2")}
    samples: dict[str, dict[str, tuple[list[float], str]]] = {system: {} for system in told}
    with ThreadPoolExecutor(1) as pool:
        for _ in range(rounds):
            for system, change in told.items():
                policy(system)
                found = _measured(
                    lab, pool, Asking(lab, (gateway, others.PORTS.get(system, 80)), host), change, machines
                )
                for metric, (value, unit) in found.items():
                    samples[system].setdefault(metric, ([], unit))[0].append(value)
                change("web1", machines["web1"])
    ratios = [Ratio("unilb-spliced", other, "sent p50") for other in told if other != "unilb-spliced"]
    publish("spliced-effect", rounds, samples, ratios)


def _measured(
    lab: Lab, pool: ThreadPoolExecutor, asking: Asking, change: Change, machines: dict[str, str]
) -> dict[str, tuple[float, str]]:
    sent, answered = [], []

    def changed(name: str) -> tuple[float, float]:
        began = time.monotonic()
        change(name, machines[name])
        return began, time.monotonic()

    before = metrics(lab, "gw1").get(BACK, 0)
    for number in range(CHANGES):
        name = ("web2", "web1")[number % 2]
        with asking.kept() as connection:
            for _ in range(WARM):
                asking.who(connection)
            telling = pool.submit(changed, name)
            seen = asking.until(connection, name)
            began, accepted = telling.result()
        sent.append((seen - began) * 1000)
        answered.append(max(0.0, seen - accepted) * 1000)
    came = metrics(lab, "gw1").get(BACK, 0) - before
    found = {"came back": (came / CHANGES, "of all"), "reconnects": (asking.broken / CHANGES, "of all")}
    for which, values in (("sent", sent), ("answered", answered)):
        cut = quantiles(values, n=100, method="inclusive")
        found |= {f"{which} p50": (cut[49], "ms"), f"{which} p99": (cut[98], "ms")}
    return found
