"""Processes that outlive the command that started them: recorded, recognised later, ended by pid and never by name."""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

_KILLED_WITHIN = 5.0  # seconds that the kernel may take over a SIGKILL


@dataclass(frozen=True, slots=True)
class Process:
    """`started`: clock ticks since boot at which the pid was born; a pid with another birth is somebody else."""

    place: str
    service: str
    pid: int
    started: int
    log: str

    def open(self) -> int | None:
        """A pidfd of the process, the caller's to close; None when it has ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        # The birth is read after the pidfd is held: whoever has it now keeps the pid until the fd is closed.
        if birth(self.pid) == self.started:
            return fd
        os.close(fd)
        return None

    @property
    def alive(self) -> bool:
        if (fd := self.open()) is None:
            return False
        os.close(fd)
        return True


def birth(pid: int) -> int | None:
    """Clock ticks since boot at which a process started; None when there is none, or only its unreaped remains."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def session(leader: Process, procs: Path) -> list[Process]:
    """The live processes of a leader's session among those that a cgroup.procs file lists."""
    found = []
    for pid in map(int, procs.read_text().split()):
        fields = _stat(pid)
        if fields and int(fields[3]) == leader.pid:
            found.append(Process(leader.place, leader.service, pid, int(fields[19]), leader.log))
    return found


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on, the state; empty when there is no such process or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()  # the command's name, in parentheses, may hold anything
    return [] if fields[0] in "ZX" else fields


def start(place: str, service: str, argv: list[str], log: Path, records: Path) -> Process:
    """Start a daemon in a session of its own, output appended to `log`, and record it. Raises OSError."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        argv,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    process = Process(place, service, pid, birth(pid) or 0, str(log))
    records.mkdir(parents=True, exist_ok=True)
    written = records / f".{place}.{service}"
    written.write_text(json.dumps(asdict(process)))
    written.rename(records / f"{place}.{service}.json")
    return process


def recorded(records: Path) -> list[Process]:
    """Everything that was started, alive or not; a record that cannot be read is left out."""
    found = []
    for path in sorted(records.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(Process(**json.loads(path.read_text())))
    return found


def stop(processes: Iterable[Process], grace: float) -> None:
    """SIGTERM all at once, wait `grace` seconds in all, SIGKILL the rest and wait for their end."""
    held = {fd: process for process in processes if (fd := process.open()) is not None}
    for fd in held:
        _signal(fd, signal.SIGTERM)
    remaining = _wait(set(held), grace)
    for fd in remaining:
        _signal(fd, signal.SIGKILL)
    _wait(remaining, _KILLED_WITHIN)
    for fd, process in held.items():
        os.close(fd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _signal(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def _wait(pidfds: set[int], seconds: float) -> set[int]:
    """Wait for ends; returns those that have not ended."""
    remaining = set(pidfds)
    poll = select.poll()
    for fd in remaining:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + seconds
    while remaining and (left := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(left * 1000):
            poll.unregister(fd)
            remaining.discard(fd)
    return remaining
