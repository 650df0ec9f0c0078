"""The store's interface: a revisioned key-value map with transactions and watches, modelled on etcd v3.

A *revision* is an int that grows by one with each transaction that changes something; every key changed by one
transaction carries its revision. Keys are text, values bytes.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

# etcd's default for one request is 1.5 MiB in all; these hold for every store, so that none is a surprise elsewhere.
MAX_COMPARES = 128
MAX_OPS = 4096
MAX_VALUE_BYTES = 1_500_000
# Seconds: ten years.
MAX_TTL = 315_360_000


class StoreError(Exception):
    """The store refused or could not do it."""


class StoreUnavailable(StoreError):
    """The store does not answer. A transaction that raised this may have been carried out or not."""


class Compacted(StoreError):
    """The history that a watch asked for is gone, or is another's: list again, and watch from the listed revision."""


class Replaced(Compacted):
    """The store is another one than before, or an older state of it: wiped, or restored from a backup."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it is now."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Put:
    """Set `key` to `value`: for `ttl` seconds, or until it is changed (None), whatever an earlier put said.

    Expiry deletes the key in a revision like any other. It comes late rather than early, by up to some 3 s, and by as
    long as the store was away.
    """

    key: str
    value: bytes
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove `key`; a missing key is no error."""

    key: str


@dataclass(frozen=True, slots=True)
class Compare:
    """True when `key` was last changed at `mod_revision`; 0: when it does not exist."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class TxnResult:
    """`revision` is the transaction's own if it succeeded and changed something, else the store's current one."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """`value` None: the key was deleted (`create_revision` is then 0)."""

    key: str
    value: bytes | None
    mod_revision: int
    create_revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction changed below the watched prefixes, in order. () means: nothing more up to `revision`."""

    revision: int
    changes: tuple[Change, ...]


class Store(Protocol):
    """etcd.py and sqlite.py implement this; tests/control/store/test_conformance.py says what it means."""

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        """All keys below `prefix` in byte order, as of one revision, and that revision. Raises StoreUnavailable."""
        ...

    async def get(self, key: str) -> Entry | None:
        """One key as of now, or None. Raises StoreUnavailable."""
        ...

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        """Apply all `ops` at once if all `compares` hold, else nothing.

        Raises ValueError for more than MAX_COMPARES or MAX_OPS, a key named twice, a value over MAX_VALUE_BYTES
        or a ttl that is not 1 to MAX_TTL; StoreUnavailable.
        """
        ...

    def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        """Every change below `prefixes` at `from_revision` or later, without gap or repeat, for ever; and () at least
        every few seconds, as a sign of life.

        Give the revision of `range` plus 1; to go on after StoreUnavailable, the last revision received plus 1.
        Short outages are bridged without a word. Raises Compacted, Replaced; StoreUnavailable when nothing answers.
        Close the generator (contextlib.aclosing) when done with it.
        """
        ...

    async def close(self) -> None:
        """Release connections, files and threads. Ends running watches with StoreUnavailable."""
        ...


def check_txn(compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> None:
    """Raise ValueError for a transaction that a store need not take."""
    if len(compares) > MAX_COMPARES or len(ops) > MAX_OPS:
        raise ValueError(
            f"a transaction holds at most {MAX_COMPARES} compares and {MAX_OPS} operations,"
            f" got {len(compares)} and {len(ops)}"
        )
    keys = [op.key for op in ops]
    if len(set(keys)) < len(keys):
        raise ValueError("a transaction changes each key once")
    for op in ops:
        if isinstance(op, Put) and len(op.value) > MAX_VALUE_BYTES:
            raise ValueError(f"{op.key}: value of {len(op.value)} bytes is greater than the maximum {MAX_VALUE_BYTES}")
        if isinstance(op, Put) and op.ttl is not None and not 1 <= op.ttl <= MAX_TTL:
            raise ValueError(f"{op.key}: a ttl is 1 to {MAX_TTL} seconds, got {op.ttl}")


def prefix_end(prefix: str) -> str:
    """The first key after all keys below `prefix`, which ends in an ASCII character."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
