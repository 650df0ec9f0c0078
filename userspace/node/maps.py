"""Typed access to pinned maps: every map's name, key and value in one table, checked against the kernel before use."""

import os
from collections.abc import Iterable, Iterator, Mapping
from ctypes import Structure, c_uint32, c_uint64, sizeof
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from userspace.node import abi, bpf, splice_abi

# name -> (key, value); per-CPU values are one slot of each CPU.
LAYOUT: dict[str, tuple[type[Any], type[Any]]] = {
    "sessions": (abi.Flow, abi.Session),
    "endpoints": (abi.Addr, abi.Endpoint),
    "hosts": (abi.HostKey, abi.Endpoint),
    "vteps": (abi.VtepKey, abi.Traffic),
    "services": (abi.ServiceKey, abi.Service),
    "rings": (c_uint32, c_uint32),
    "targets": (c_uint32, abi.Target),
    "owned": (abi.Addr, c_uint32),
    "laddrs": (c_uint32, abi.Addr),
    "toa_trusted": (abi.Addr, c_uint32),
    "machine": (c_uint32, abi.Machine),
    "accounts": (c_uint32, abi.Account),
    "path_mtus": (abi.Addr, abi.PathMtu),
    "icmp_budget": (c_uint32, abi.Budget),
    "drop_watch": (c_uint32, abi.Watch),
    "splice_ends": (abi.Flow, splice_abi.SpliceEnd),
    "splices": (c_uint32, splice_abi.Splice),
    "answers": (c_uint32, splice_abi.Answer),
    "splice_counts": (c_uint32, splice_abi.SpliceCount),
    "splice_epochs": (c_uint32, c_uint64),
    "guard_key": (c_uint32, splice_abi.GuardKey),
    "guard_paths": (splice_abi.GuardPath, c_uint32),
    "guard_headers": (c_uint64, c_uint32),
    "guard_states": (c_uint32, splice_abi.GuardTable),
    "drops": (c_uint32, c_uint64),
    "events": (c_uint32, c_uint64),
}
# Ring buffers: read as records (ring.py).
RINGS = ("drop_events", "splice_events", "splice_requests")
SHARED = frozenset({*LAYOUT, *RINGS})
"""The maps that are pinned, and shared by all programs and builds."""


class MapMismatch(Exception):
    """A pinned map has another layout than this version expects; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """One pinned map. Keys and values are raw bytes here: callers build them from abi types."""

    name: str
    fd: int
    shape: bpf.MapShape

    def get(self, key: bytes | Structure | c_uint32) -> bytes | None:
        return bpf.map_lookup(self.fd, bytes(key), self.shape.value_size)

    def put(self, key: bytes | Structure | c_uint32, value: bytes | Structure | c_uint32, flags: int = 0) -> None:
        bpf.map_update(self.fd, bytes(key), bytes(value), flags)

    def delete(self, key: bytes | Structure | c_uint32) -> bool:
        return bpf.map_delete(self.fd, bytes(key))

    def items(self) -> list[tuple[bytes, bytes]]:
        return bpf.map_items(self.fd, self.shape.key_size, self.shape.value_size)

    def chunks(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield (keys, values, count), each concatenated."""
        return bpf.map_chunks(self.fd, self.shape.key_size, self.shape.value_size)

    def put_many(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Write entries in order, by batches."""
        pairs = list(entries)
        bpf.map_update_batch(self.fd, b"".join(k for k, _ in pairs), b"".join(v for _, v in pairs), len(pairs))

    def shares(self, index: int) -> list[bytes]:
        """Return every CPU's value of an entry of a per-CPU array."""
        size = self.shape.value_size + 7 & ~7
        raw = bpf.map_lookup(self.fd, bytes(c_uint32(index)), size * possible_cpus()) or b""
        return [raw[i : i + self.shape.value_size] for i in range(0, len(raw), size)]

    def put_shares(self, index: int, value: bytes) -> None:
        """Write the same value for every CPU."""
        bpf.map_update(self.fd, bytes(c_uint32(index)), value.ljust(len(value) + 7 & ~7, b"\0") * possible_cpus())

    def totals(self, count: int) -> list[int]:
        """Return the first `count` counters of a per-CPU array of u64, summed over CPUs."""
        cpus = possible_cpus()
        sums = []
        for index in range(count):
            raw = bpf.map_lookup(self.fd, bytes(c_uint32(index)), 8 * cpus) or b""
            sums.append(sum(int.from_bytes(raw[i : i + 8], "little") for i in range(0, len(raw), 8)))
        return sums


def possible_cpus() -> int:
    """Return how many CPUs a per-CPU value covers."""
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().split("-")[-1]
    return int(last.split(",")[-1]) + 1


def open_tables(root: Path, sizes: Mapping[str, int] | None = None) -> dict[str, Table]:
    """Open every map pinned below `root`, after comparing its key and value sizes (and max_entries, where given).

    Raises MapMismatch, naming the map: a write through another layout would succeed and lose half of the value.
    """
    tables: dict[str, Table] = {}
    try:
        for name, (key, value) in LAYOUT.items():
            path = root / name
            if not path.exists():
                continue
            fd = bpf.get_pinned(path)
            table = tables[name] = Table(name, fd, bpf.map_shape(fd))
            _check(table, key, value, (sizes or {}).get(name))
    except BaseException:
        close_tables(tables)
        raise
    return tables


def _check(table: Table, key: type[Any], value: type[Any], max_entries: int | None) -> None:
    found = (table.shape.key_size, table.shape.value_size)
    expected = (sizeof(key), sizeof(value))
    if found != expected:
        raise MapMismatch(
            f"map {table.name}: pinned with key/value of {found} bytes, this version has {expected}; "
            "`unilb node --detach` removes it (and the sessions in it)"
        )
    if max_entries is not None and table.shape.max_entries != max_entries:
        raise MapMismatch(
            f"map {table.name}: pinned with {table.shape.max_entries} entries, the settings say {max_entries}; "
            "`unilb node --detach` removes it (and the sessions in it)"
        )


def close_tables(tables: Mapping[str, Table]) -> None:
    for table in tables.values():
        os.close(table.fd)
