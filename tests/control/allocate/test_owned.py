"""Ownership records as the store holds them."""

from pathlib import Path

import pytest

from control.allocate.owned import GUARD, Owner, read_owned
from control.store.base import Entry, Put
from control.store.open import open_store


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        (b'{"vpc_id":"blue","vpc_ip":"192.168.0.10"}', Owner("blue", "192.168.0.10", None, 7)),
        (b'{"freed_at":5}', Owner(None, None, 5, 7)),
        (b"", Owner(None, None, None, 7)),
        (b"[]", Owner(None, None, None, 7)),
        (b"\xff", Owner(None, None, None, 7)),
    ],
)
def test_a_record_is_read(value: bytes, owner: Owner) -> None:
    assert Owner.from_entry(Entry("/unilb/unique_ips/100.64.0.1", value, 1, 7)) == owner


async def test_all_records_are_read_behind_the_guard(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    empty = await read_owned(store)
    assert (empty.addresses, empty.vnis, empty.guard_revision) == ({}, {}, 0)
    written = await store.txn(
        [],
        [
            Put(GUARD, b""),
            Put("/unilb/unique_ips/100.64.0.1", b'{"vpc_id":"blue","vpc_ip":"192.168.0.10"}'),
            Put("/unilb/vnis/10010", b'{"vpc_id":"blue"}'),
        ],
    )
    owned = await read_owned(store)
    assert owned.addresses == {"100.64.0.1": Owner("blue", "192.168.0.10", None, written.revision)}
    assert (owned.vnis, owned.guard_revision) == ({"10010": "blue"}, written.revision)
    await store.close()
