"""One reader of the ring at a time: a file with a lock, and in it what the last one had not finished.

The lock is POSIX's, since that one says who holds it: the process that is there is asked to end, and ended.
"""

import fcntl
import os
import signal
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

ASKED_SECONDS = 4.0  # from SIGTERM to SIGKILL
_LENGTH = struct.Struct("=I")
_FLOCK = struct.Struct("=hh4xqqi4x")  # fcntl(2), 64 bit: l_type, l_whence, l_start, l_len, l_pid


class Succession:
    """Open it while still privileged: the file is for nobody else to read."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> list[bytes]:
        """Wait for the lock, ending its holder; return what that one has left."""
        asked = 0.0
        while not self._locked():
            holder, now = self._holder(), time.monotonic()
            if holder > 0:
                with suppress(ProcessLookupError):
                    if not asked:
                        os.kill(holder, signal.SIGTERM)
                    elif now - asked > ASKED_SECONDS:
                        os.kill(holder, signal.SIGKILL)
                asked = asked or now
            time.sleep(0.005)
        left = list(_cut(os.pread(self._fd, os.fstat(self._fd).st_size, 0)))
        os.ftruncate(self._fd, 0)
        return left

    def leave(self, records: Iterable[bytes]) -> None:
        """Write down what is not finished, and let go."""
        os.pwrite(self._fd, b"".join(_LENGTH.pack(len(record)) + record for record in records), 0)
        os.close(self._fd)

    def _locked(self) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _holder(self) -> int:
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(self._fd, fcntl.F_GETLK, wanted))
        return int(pid) if kind != fcntl.F_UNLCK else 0


def _cut(data: bytes) -> Iterable[bytes]:
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):  # it was ended while it wrote
            return
        yield data[at : at + length]
        at += length
