"""`backup` and `restore`: every key of the store, read at one revision, and written so that an end halfway is seen."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from control.ctl.archive import ROOTS, pack, unpack
from control.model.keys import PREFIXES, REPORTS, UNIQUE_IPS, USES, VNIS
from control.store.base import MAX_OPS, Compare, Delete, Put, Store

# Stands in the store while a restore is under way: the checksum of what is being restored.
MARK = "/unilb/restoring"
# One transaction's worth, below etcd's limit of 1.5 MiB for a request in base64.
BATCH_BYTES = 700_000
BATCH_OPS = MAX_OPS - 1

# What is referred to comes before what refers to it: a gateway that watches never sees a route without its upstream.
_ORDER = (UNIQUE_IPS, VNIS, USES, *(PREFIXES[kind] for kind in ("keys", "node", "vpc", "vip")), PREFIXES["upstream"])


class NotRestored(Exception):
    """The store was left as it is."""


async def back_up(store: Store, file: Path) -> int:
    """Write all keys to `file`, mode 0600, all or nothing; return how many. Raises StoreError, OSError, NotRestored
    when the store holds half of a restore."""
    values, revision = await _read(store)
    if MARK in values:
        raise NotRestored("the store holds a restore that did not come to its end: finish it first")
    fresh = file.with_name(file.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(pack(values, revision))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    return len(values)


async def restore(store: Store, raw: bytes, force: bool) -> int:
    """Make the store hold exactly what a backup holds; return how many keys.

    Raises BadArchive before anything is written; NotRestored; StoreError.
    A store that is not empty is refused without `force`, except to go on with the same restore. If all fits into one
    transaction, it is one; else each batch checks that no other restore has come between.
    """
    wanted, _ = unpack(raw)
    sum_ = hashlib.sha256(raw).hexdigest().encode()
    present, _ = await _read(store)
    mark = await store.get(MARK)
    present.pop(MARK, None)
    is_continued = mark is not None and mark.value == sum_
    if mark is not None and not is_continued and not force:
        raise NotRestored("the store holds half of another backup: finish restoring that, or give --force")
    if present and not force and not is_continued:
        raise NotRestored(
            f"the store holds {len(present)} keys: stop `unilb control`, which makes keys of its own, or give --force"
        )
    batches = list(_batches(plan_restore(present, wanted)))
    revision = mark.mod_revision if mark else 0
    for number, ops in enumerate(batches, 1):
        is_last = number == len(batches)
        if is_last and revision == 0:
            result = await store.txn([Compare(MARK, 0)], ops)
        else:
            marked = Delete(MARK) if is_last else Put(MARK, sum_)
            result = await store.txn([Compare(MARK, revision)], [*ops, marked])
        if not result.succeeded:
            raise NotRestored("another restore has begun meanwhile: the store holds parts of both, restore once more")
        revision = result.revision
    return len(wanted)


def plan_restore(present: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[Put | Delete]:
    """What is to be written, referred objects first, and then what is to be removed, the other way round. Pure."""
    puts = [Put(key, value) for key, value in wanted.items() if present.get(key) != value]
    surplus = [Delete(key) for key in present if key not in wanted]
    return [*sorted(puts, key=_rank), *sorted(surplus, key=_rank, reverse=True)]


def _rank(op: Put | Delete) -> tuple[int, str]:
    place = next((number for number, prefix in enumerate(_ORDER) if op.key.startswith(prefix)), len(_ORDER))
    # Routes refer to everything and nothing to them.
    return (len(_ORDER) + 1 if op.key.startswith(PREFIXES["route"]) else place), op.key


def _batches(ops: Sequence[Put | Delete]) -> Iterator[list[Put | Delete]]:
    """At least one, if only an empty one: a mark may be left to remove."""
    batch: list[Put | Delete] = []
    size = 0
    for op in ops:
        more = len(op.key) + (len(op.value) if isinstance(op, Put) else 0) + 64
        if batch and (size + more > BATCH_BYTES or len(batch) == BATCH_OPS):
            yield batch
            batch, size = [], 0
        batch.append(op)
        size += more
    yield batch


async def _read(store: Store) -> tuple[dict[str, bytes], int]:
    # One range over everything: two would be of two revisions.
    entries, revision = await store.range("/")
    kept = (entry for entry in entries if entry.key.startswith(ROOTS) and not entry.key.startswith(REPORTS))
    return {entry.key: entry.value for entry in kept}, revision
