"""The audit log: one JSON line per change. Written by a thread, so that a slow disk or terminal holds up nobody."""

import os
import queue
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from control.admin.reply import dump

# Lines that wait to be written; beyond it lines are dropped, and their number is written when there is room again.
MAX_WAITING = 10_000
# A log file that grows over this becomes FILE.1, and the FILE.1 before it is gone.
MAX_FILE_BYTES = 64 << 20
MAX_FIELDS = 32
MAX_NAME = 64
_CLOSE_TIMEOUT = 5.0


class AuditLog:
    """Writes to `path`, or to standard error if it is None. `dropped` counts lines lost so far."""

    def __init__(self, path: str | None = None, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self.dropped = 0
        self._told = 0
        self._fd = _open(path) if path is not None else os.dup(sys.stderr.fileno())
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(
        self,
        who: str,
        what: str,
        key: str,
        from_revision: int,
        to_revision: int,
        client: str = "",
        changed: Sequence[str] = (),
    ) -> None:
        """Record a change: by which key, from which address, and to which fields. Never blocks, never raises."""
        line = {
            "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
            "who": who,
            "what": what,
            "key": key,
            "from_revision": from_revision,
            "to_revision": to_revision,
            "client": client,
            "changed": list(changed),
        }
        try:
            self._lines.put_nowait(dump(line) + b"\n")
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, for a bounded time."""
        try:
            self._lines.put(None, timeout=_CLOSE_TIMEOUT)
            self._thread.join(_CLOSE_TIMEOUT)
        except queue.Full:
            self.dropped += self._lines.qsize()
        if not self._thread.is_alive():
            os.close(self._fd)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if self.dropped > self._told:
                line = dump({"dropped": self.dropped - self._told}) + b"\n" + line
                self._told = self.dropped
            try:
                self._rotate(len(line))
                os.write(self._fd, line)
            except OSError:
                self.dropped += 1

    def _rotate(self, more: int) -> None:
        if self._path is None or os.fstat(self._fd).st_size + more <= self._max_file_bytes:
            return
        Path(self._path).replace(f"{self._path}.1")
        fresh = _open(self._path)
        os.close(self._fd)
        self._fd = fresh


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the fields in which two objects differ, never a value; "plugins.limit-count" for a plugin.

    At most MAX_FIELDS, then "...". What the server writes by itself is left out.
    """
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after or name in ("create_time", "update_time"):
            continue
        if name == "plugins" and isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping):
            before, after = before or {}, after or {}
            found += [f"plugins.{p}" for p in sorted(before.keys() | after.keys()) if before.get(p) != after.get(p)]
        else:
            found.append(name)
    short = [name[:MAX_NAME] for name in found[:MAX_FIELDS]]
    return (*short, "...") if len(found) > MAX_FIELDS else tuple(short)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
