"""Run things inside a machine of the lab, whatever its namespaces: commands, daemons, connections."""

import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from userspace.lab import enter, process
from userspace.lab.apply import LabError
from userspace.lab.lab import Lab
from userspace.lab.process import Process


def command(lab: Lab, place: str, argv: Sequence[str]) -> list[str]:
    """What to run so that `argv` runs in a machine or VM: its network, /sys, /sys/fs/bpf and cgroup.

    The process becomes the command: pid, exit status, signals and streams are the command's own. Good for any way of
    starting processes, asyncio's included. Exit 125: the machine could not be entered; 126, 127: as a shell's.
    """
    netns = lab.netns(place)
    inside = ["--netns", str(netns), "--bpffs", str(lab.bpffs(place))] if netns else []
    cgroup = ["--cgroup", str(lab.cgroup(place))]
    return [sys.executable, "-I", "-S", enter.__file__, *inside, *cgroup, "--", *argv]


def run(
    lab: Lab,
    place: str,
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout: float | None = 60,
    check: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run to the end; output is text. Raises CalledProcessError, TimeoutExpired, LabError (no such place)."""
    return subprocess.run(
        command(lab, place, argv), input=stdin, capture_output=True, text=True, timeout=timeout, check=check
    )


def spawn(lab: Lab, place: str, service: str, argv: Sequence[str], log: Path | None = None) -> Process:
    """Start a daemon that outlives the caller; `unilb lab down` ends it. One per place and service name."""
    records = lab.state / "pids"
    if any(p.alive for p in process.recorded(records) if (p.place, p.service) == (place, service)):
        raise LabError(f"{service} is already running in {place}")
    log = log or lab.log(place, service)
    log.parent.mkdir(parents=True, exist_ok=True)
    return process.start(place, service, command(lab, place, argv), log, records)


def connect(lab: Lab, place: str, address: tuple[str, int], timeout: float = 5) -> socket.socket:
    """A TCP connection made from inside a machine or VM, usable from here. Raises OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = open_socket(lab, place, family=family)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def open_socket(
    lab: Lab,
    place: str,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    family: socket.AddressFamily = socket.AF_INET,
) -> socket.socket:
    """A socket that belongs to a machine or VM for life. Raises OSError, LabError."""
    netns = lab.netns(place)
    if netns is None:
        return socket.socket(family, kind)
    made: list[socket.socket | OSError] = []

    def inside() -> None:
        try:
            enter.enter_netns(str(netns))
            made.append(socket.socket(family, kind))
        except OSError as error:
            made.append(error)

    # setns moves one thread; a thread of its own ends with its namespace and leaves the caller where it was.
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
