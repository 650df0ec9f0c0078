"""Tally: counts that all workers of a machine share: a hash table in memory that they have in common. Bounded.

A slot holds the digest of a key, when it expires (seconds on the monotonic clock, which all processes share), and three
numbers. A key lives in one bucket of eight slots. When all eight are taken by keys in force, the one that expires first
makes room and `evicted` counts it: its limit begins anew.
"""

import fcntl
import mmap
import os
from collections.abc import Callable
from hashlib import blake2b
from struct import Struct
from typing import Final

BUCKETS: Final = 16384  # 131,072 keys, 6 MiB; pages that no key touched take no memory
WIDTH: Final = 8
_SLOT: Final = Struct("=16s4d")
_BUCKET: Final = WIDTH * _SLOT.size
SIZE: Final = BUCKETS * _BUCKET
_FREE: Final = bytes(16)

Numbers = tuple[float, float, float]
Change = Callable[[Numbers | None], tuple[Numbers, float] | None]
"""From a key's numbers (None: there are none) to the new ones and when they expire; None: forget the key."""


def shared_memory() -> int:
    """Return a new descriptor for `Tally`, to be inherited by all who share it."""
    fd = os.memfd_create("unilb-tally", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE)
    return fd


class Tally:
    """`fd` as `shared_memory` made it; without one, nobody shares. A bucket is locked for as long as one change of it
    takes (some us), by a record lock, which the kernel takes back from a process that dies."""

    __slots__ = ("_fd", "_memory", "evicted")

    def __init__(self, fd: int | None = None) -> None:
        self.evicted = 0
        self._fd = fd
        self._memory = mmap.mmap(-1 if fd is None else fd, SIZE)

    def change(self, key: str, now: float, change: Change) -> None:
        """Apply `change` to the numbers of `key`; no other worker does so meanwhile. `change` raises nothing."""
        digest, start = _place(key)
        self._lock(start)
        memory = self._memory
        at, is_known = self._find(digest, start, now)
        numbers: Numbers | None = None
        if is_known:
            _, _, one, two, three = _SLOT.unpack_from(memory, at)
            numbers = (one, two, three)
        after = change(numbers)
        if after is not None:
            if not is_known and _SLOT.unpack_from(memory, at)[1] > now:
                self.evicted += 1
            _SLOT.pack_into(memory, at, digest, after[1], *after[0])
        elif is_known:
            _SLOT.pack_into(memory, at, _FREE, 0, 0, 0, 0)
        self._unlock(start)

    def read(self, key: str, now: float) -> Numbers | None:
        """Return the numbers of `key`, or None."""
        digest, start = _place(key)
        self._lock(start)
        at, is_known = self._find(digest, start, now)
        _, _, one, two, three = _SLOT.unpack_from(self._memory, at)
        self._unlock(start)
        return (one, two, three) if is_known else None

    def _find(self, digest: bytes, start: int, now: float) -> tuple[int, bool]:
        """Where `digest` is, and True; or where it may go: the slot that expired, or will, before the others."""
        best, best_expires = start, float("inf")
        for at in range(start, start + _BUCKET, _SLOT.size):
            known, expires, *_ = _SLOT.unpack_from(self._memory, at)
            if known == digest and expires > now:
                return at, True
            if expires < best_expires:
                best, best_expires = at, expires
        return best, False

    def _lock(self, start: int) -> None:
        if self._fd is not None:
            fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, start)

    def _unlock(self, start: int) -> None:
        if self._fd is not None:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, start)


def _place(key: str) -> tuple[bytes, int]:
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()
    return digest, int.from_bytes(digest[:4], "little") % BUCKETS * _BUCKET
