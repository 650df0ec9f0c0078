"""What to write and delete so that a map holds what the plan says. Pure: bytes in, operations out."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operations:
    """puts: add or replace. deletes: take away. Within a change, puts of every map come before deletes of any."""

    puts: dict[bytes, bytes]
    deletes: tuple[bytes, ...]


def diff(actual: Mapping[bytes, bytes], desired: Mapping[bytes, bytes], keep_values: bool = False) -> Operations:
    """Return the operations that turn `actual` into `desired`.

    keep_values: values of keys that stay are the kernel's own (counters) and are left alone.
    """
    puts = {k: v for k, v in desired.items() if k not in actual or (not keep_values and actual[k] != v)}
    return Operations(puts, tuple(k for k in actual if k not in desired))
