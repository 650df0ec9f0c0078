"""What runs on which machine: the commands, their order, and how each shows that it is ready."""

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from userspace.lab import nginx, process
from userspace.lab.apply import LabError
from userspace.lab.client import request
from userspace.lab.exec import connect, spawn
from userspace.lab.lab import Lab
from userspace.lab.process import Process
from userspace.lab.publish import ADMIN_PORT, publish

NAMES = ("etcd", "nginx", "control", "node")
ETCD_PORT = 2379
METRICS_PORT = 9091
READY_WITHIN = 90.0  # seconds; the first time, programs are compiled
_PROBE_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """`ready`: URLs that the machine itself gets an answer from (http: 2xx; tcp: accepted) once the service works."""

    place: str
    name: str
    argv: tuple[str, ...]
    ready: tuple[str, ...]
    prepare: Callable[[Lab, str], None] | None = None
    children_live_on: bool = False  # when it is killed, its children serve until the next one replaces them


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise LabError(f"{name} is not installed; `unilb doctor` says how to mend it")
    return found


def unilb() -> str:
    """The command-line program of the environment that this one runs in."""
    return str(Path(sys.prefix, "bin", "unilb"))


def services(lab: Lab) -> tuple[Service, ...]:
    """All services of the region, those that others need first."""
    t = lab.topology
    store = f"etcd://{t.control.address}:{ETCD_PORT}"
    webs = [*(m.name for m in t.of_role("web")), *t.vms]
    return (
        _etcd(lab),
        *(_nginx(lab, place) for place in webs),
        _control(lab, store),
        *(_node(lab, m.name, store) for m in t.of_role("l4", "gateway")),
    )


def _etcd(lab: Lab) -> Service:
    machine = lab.topology.control
    client, peer = f"http://{machine.address}:{ETCD_PORT}", "http://127.0.0.1:2380"
    options = {
        "--name": lab.name,
        "--data-dir": str(lab.state / "etcd"),
        "--listen-client-urls": client,
        "--advertise-client-urls": client,
        "--listen-peer-urls": peer,
        "--initial-advertise-peer-urls": peer,
        "--initial-cluster": f"{lab.name}={peer}",
        "--logger": "zap",
    }
    argv = ("etcd", *(word for pair in options.items() for word in pair))
    return Service(machine.name, "etcd", argv, (f"{client}/health",))


def _nginx(lab: Lab, place: str) -> Service:
    return Service(place, "nginx", nginx.argv(lab, place), (f"tcp://127.0.0.1:{nginx.PORT}",), nginx.prepare)


def _control(lab: Lab, store: str) -> Service:
    machine = lab.topology.control
    listen = f"{machine.address}:{ADMIN_PORT}"
    argv = (unilb(), "control", "--store", store, "--listen", listen, "--admin-key", lab.admin_key.read_text())
    return Service(machine.name, "control", argv, (f"tcp://{listen}",))


def _node(lab: Lab, name: str, store: str) -> Service:
    machine = lab.topology.machines[name]
    argv: tuple[str, ...] = (unilb(), "node", "--id", name, "--store", store, "--metrics", f"0.0.0.0:{METRICS_PORT}")
    # By default it is outside the lab's folder, and shared by all nodes of a machine. So is the cache, which is to be:
    # whoever is first compiles for all nodes, and for the next lab.
    argv += ("--run-dir", str(lab.state / "run" / name))
    if machine.hook != "auto":
        argv += ("--hook", machine.hook)
    ready: tuple[str, ...] = (f"http://{machine.address}:{METRICS_PORT}/healthz",)
    if machine.role == "gateway":
        log = str(lab.state / "logs" / f"{name}.access.log")
        argv += ("--listen", "0.0.0.0:80", *(("--listen", "[::]:80") if machine.address6 else ()))
        argv += ("--workers", "2", "--access-log", log)
        ready += ("tcp://127.0.0.1:80",)
    return Service(name, "node", argv, ready, _node_folders, children_live_on=True)


def _node_folders(lab: Lab, place: str) -> None:
    (lab.state / "run" / place).mkdir(parents=True, exist_ok=True)


def up(lab: Lab, only: Collection[str] = NAMES) -> None:
    """Start what does not run yet, in order, and wait until it is ready. Raises LabError with the end of a log."""
    wanted = [s for s in services(lab) if s.name in only and s.place in lab.places]
    for stage in (("etcd", "nginx"), ("control",), ("node",)):
        started = [s for s in wanted if s.name in stage]
        for service in started:
            start(lab, service)
        for service in started:
            wait_until_ready(lab, service)
        if "control" in stage and started:
            publish(lab)


def running(lab: Lab, service: Service) -> Process | None:
    """The live process of a service."""
    return next((found for found in _recorded(lab, service) if found.alive), None)


def start(lab: Lab, service: Service) -> None:
    """Start one service, unless it runs; returns before it is ready."""
    if running(lab, service):
        return
    if not service.children_live_on:
        process.stop(_left_behind(lab, service), 0)
    if service.prepare:
        service.prepare(lab, service.place)
    spawn(lab, service.place, service.name, (_program(service.argv[0]), *service.argv[1:]))


def _left_behind(lab: Lab, service: Service) -> list[Process]:
    """Children of a killed predecessor, which hold its sockets: they share its session and its machine's cgroup."""
    return [
        child
        for old in _recorded(lab, service)
        for child in process.session(old, lab.cgroup(service.place) / "cgroup.procs")
    ]


def _recorded(lab: Lab, service: Service) -> list[Process]:
    found = process.recorded(lab.state / "pids")
    return [p for p in found if (p.place, p.service) == (service.place, service.name)]


def stop(lab: Lab, service: Service, grace: float = 5) -> None:
    """End one service: SIGTERM, and SIGKILL after `grace` seconds."""
    if found := running(lab, service):
        process.stop([found], grace)


def wait_until_ready(lab: Lab, service: Service, seconds: float = READY_WITHIN) -> None:
    """Wait until every probe of a service succeeds. Raises LabError at once when its process ends."""
    found = running(lab, service)
    pidfd = found.open() if found else None
    if found is None or pidfd is None:
        raise LabError(f"{service.name} on {service.place} ended at once\n{_tail(lab, service)}")
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + seconds
    try:
        while why := unready(lab, service):
            if time.monotonic() > deadline:
                raise LabError(f"{service.name} on {service.place} is not ready: {why}\n{_tail(lab, service)}")
            if poll.poll(_PROBE_EVERY * 1000):
                raise LabError(f"{service.name} on {service.place} ended\n{_tail(lab, service)}")
    finally:
        os.close(pidfd)


def unready(lab: Lab, service: Service) -> str | None:
    """Why a service is not ready; None when it is."""
    for url in service.ready:
        parts = urlsplit(url)
        try:
            if parts.scheme == "tcp":
                connect(lab, service.place, (parts.hostname or "", parts.port or 0), timeout=1).close()
            elif (reply := request(lab, service.place, "GET", url, timeout=2)).status // 100 != 2:
                return f"{url} answers {reply.status}"
        except (OSError, HTTPException) as error:
            return f"{url}: {error}"
    return None


def _tail(lab: Lab, service: Service, lines: int = 15) -> str:
    path = lab.log(service.place, service.name)
    try:
        last: Sequence[str] = path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return f"(no {path})"
    return "\n".join([f"{path}:", *(f"    {line}" for line in last)])
