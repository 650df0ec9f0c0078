"""One `up` or `down` of a lab at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state directory (made when missing) for oneself; waits for whoever holds it."""
    while True:
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            # The holder before us may have been a `down`, which removes the directory: then this lock is of nothing.
            if state.exists() and os.path.samestat(os.fstat(fd), state.stat()):
                yield
                return
        finally:
            os.close(fd)
