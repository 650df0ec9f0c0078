"""The access log: one JSON line per exchange, written by one thread so that a slow disk never stalls a request.

Lines gather in the loop's thread and are handed over as one chunk when CHUNK_BYTES are full or on `flush()`, which the
worker calls once a second. At most MAX_PENDING_BYTES wait for the sink; beyond that lines are dropped and counted.
"""

import os
import select
import threading
from collections.abc import Mapping
from queue import SimpleQueue
from socket import socket

import orjson

from userspace.obs.syslog import PREFIX, Syslog

CHUNK_BYTES = 64 << 10
MAX_PENDING_BYTES = 4 << 20
_JOIN_SECONDS = 2.0
_MODE = 0o640


class AccessLog:
    """`path` is a file, "-" for standard output, "syslog:..." (syslog.py) or "off". Opened by the constructor, so
    possibly still as root.

    Raises OSError when the file cannot be opened. The thread starts with `start()`: after the privileges are gone.
    """

    def __init__(self, path: str) -> None:
        self.enabled = path != "off"
        self.lines = 0
        self._path = path
        self._syslog = Syslog.parse(path) if path.startswith(PREFIX) else None
        self._socket: socket | None = None
        self._fd = self._open() if self.enabled else -1
        self._refused = 0  # written by the loop's thread
        self._failed = 0  # written by the writer
        self._chunk: list[bytes] = []
        self._chunk_bytes = 0
        self._pending_bytes = 0  # under _lock: added by the loop's thread, taken by the writer
        self._lock = threading.Lock()
        self._queue: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._reopen = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Lines lost: too much was pending, or the sink refused the write."""
        return self._refused + self._failed

    @property
    def pending_bytes(self) -> int:
        """What waits for the sink."""
        return self._pending_bytes + self._chunk_bytes

    def own(self, uid: int, gid: int) -> None:
        """Give the file to the user the worker drops to, so that `reopen` works after a rotation."""
        if self._fd > 2 and self._socket is None:
            os.fchown(self._fd, uid, gid)

    def start(self) -> None:
        """Start the writer. Lines may be given before; they wait."""
        if self.enabled and self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="access-log", daemon=True)
            self._thread.start()

    def write(self, entry: Mapping[str, object]) -> None:
        """Take one line. Text that is not valid UTF-8 must have been decoded by the caller."""
        if self.enabled:
            self.write_line(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def write_line(self, line: bytes) -> None:
        """Take one line as it is, line feed included."""
        if not self.enabled:
            return
        if self._pending_bytes + self._chunk_bytes + len(line) > MAX_PENDING_BYTES:
            self._refused += 1
            return
        self.lines += 1
        self._chunk.append(line)
        self._chunk_bytes += len(line)
        if self._chunk_bytes >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what has gathered to the writer. Never blocks."""
        if not self._chunk:
            return
        chunk, self._chunk = self._chunk, []
        with self._lock:
            self._pending_bytes += self._chunk_bytes
        self._chunk_bytes = 0
        self._queue.put(chunk)

    def reopen(self) -> None:
        """Open the path anew before the next write: after a rotation, on SIGHUP."""
        if self.enabled and self._path != "-" and self._syslog is None:
            self.flush()
            self._reopen = True
            self._queue.put([])

    def close(self) -> None:
        """Write out everything, waiting at most two seconds for a sink that blocks."""
        if not self.enabled:
            return
        self.enabled = False
        self.flush()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            if self._thread.is_alive():
                return
        if self._socket is not None:
            self._socket.close()
        elif self._fd > 2:
            os.close(self._fd)

    def _open(self) -> int:
        if self._syslog is not None:
            self._socket = self._syslog.open()
            return self._socket.fileno()
        if self._path == "-":
            return 1
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)

    def _write_all(self) -> None:
        while (chunk := self._queue.get()) is not None:
            if self._reopen:
                self._reopen = False
                self._open_again()
            block = b"".join(chunk)
            if self._syslog is not None and self._socket is not None:
                self._failed += self._syslog.send(self._socket, block)
                written = True
            else:
                written = self._write_block(block)
            with self._lock:
                self._pending_bytes -= len(block)
            if not written:
                self._failed += len(chunk)

    def _open_again(self) -> None:
        # The directory may refuse the dropped user; the old file, even if renamed, is better than none.
        try:
            fd = self._open()
        except OSError:
            return
        os.close(self._fd)
        self._fd = fd

    def _write_block(self, block: bytes) -> bool:
        view = memoryview(block)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Standard output may be a pipe that somebody else made non-blocking.
                select.select([], [self._fd], [])
            except OSError:
                return False
        return True
