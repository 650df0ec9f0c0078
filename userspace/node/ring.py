"""A BPF ring buffer, mapped and read: records that the datapath has written, in order."""

import mmap
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from userspace.node import bpf

_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8  # of a record: length and flags, page offset


class Ring:
    """`fd`: of the map, which becomes readable (epoll) when a record is there. One reader at a time: it moves the
    position that the kernel writes up to."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._size = bpf.map_shape(fd).max_entries
        page = mmap.PAGESIZE
        self._mine = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        # The data is mapped twice in a row, so that no record is torn.
        self._theirs = mmap.mmap(fd, page + 2 * self._size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Unmap it; the file descriptor stays its owner's."""
        self._mine.close()
        self._theirs.close()

    def read(self) -> Iterator[bytes]:
        """Yield the records that are there now."""
        (position,) = struct.unpack_from("=Q", self._mine)
        while position < struct.unpack_from("=Q", self._theirs)[0]:
            at = mmap.PAGESIZE + position % self._size
            (head,) = struct.unpack_from("=I", self._theirs, at)
            if head & _BUSY:
                return
            length = head & ~_DISCARDED
            record = b"" if head & _DISCARDED else self._theirs[at + _HEADER : at + _HEADER + length]
            position += _HEADER + (length + 7 & ~7)
            struct.pack_into("=Q", self._mine, 0, position)
            if record:
                yield record
