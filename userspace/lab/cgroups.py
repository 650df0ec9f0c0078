"""The lab's cgroup2 groups: one per machine, so that everything a machine ever started can be found and ended."""

import os
import select
import time
from pathlib import Path

from userspace.lab.apply import LabError


def make(groups: list[Path]) -> None:
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)


def end(root: Path, seconds: float = 5) -> None:
    """Kill every process in the tree of groups, wait until they have gone, remove the groups. Raises LabError."""
    if not root.exists():
        return
    (root / "cgroup.kill").write_text("1")
    _wait_until_empty(root / "cgroup.events", time.monotonic() + seconds)
    for directory, _, _ in os.walk(root, topdown=False):
        os.rmdir(directory)


def _wait_until_empty(events: Path, deadline: float) -> None:
    with events.open() as file:
        poll = select.poll()
        poll.register(file, select.POLLPRI)  # cgroup.events announces its changes so
        while "populated 1" in file.read():
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"processes in {events.parent} do not end; see {events.parent}/**/cgroup.procs")
            poll.poll(left * 1000)
            file.seek(0)
