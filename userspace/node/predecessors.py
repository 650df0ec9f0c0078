"""Workers of an earlier node on this machine: they serve on when their node dies, until ours have taken over.

The file names each worker by pid and start time, so a reused pid is never signalled.
"""

import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Predecessors:
    """`file`: where the workers of the running node are written down."""

    file: Path

    def replace(self, pids: Iterable[int]) -> list[int]:
        """Write down our workers and ask those written down before, and not ours, to drain; return whom."""
        ours = set(pids)
        asked = []
        for pid, started in self._recorded():
            if pid not in ours and start_time(pid) == started:
                os.kill(pid, signal.SIGTERM)
                asked.append(pid)
        self._write(ours)
        return asked

    def note(self, pid: int) -> None:
        """Write down one more worker: from its first moment it may outlive its node."""
        self._write({pid, *(old for old, started in self._recorded() if start_time(old) == started)})

    def _write(self, pids: Iterable[int]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps([[pid, start_time(pid)] for pid in sorted(pids)]))
        fresh.replace(self.file)

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)

    def _recorded(self) -> list[tuple[int, int]]:
        try:
            return [(int(pid), int(started or 0)) for pid, started in json.loads(self.file.read_text())]
        except (FileNotFoundError, ValueError):
            return []


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc(5), stat field 22); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])
