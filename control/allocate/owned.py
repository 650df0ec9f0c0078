"""Ownership records: what the store says about unique IPs and VNIs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from control.model.keys import UNIQUE_IPS, USES, VNIS
from control.store.base import Entry, Store

# Every allocation compares and rewrites this key, so that two of them never go through side by side.
GUARD = USES + "unique_ips"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a unique IP: `vpc_ip` in `vpc_id`; or nobody, since `freed_at` (Unix seconds), while it rests."""

    vpc_id: str | None
    vpc_ip: str | None
    freed_at: int | None
    mod_revision: int

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """Read a record. One that cannot be read has no owner and never rests out: its address stays unused."""
        try:
            doc = json.loads(entry.value)
            return cls(doc.get("vpc_id"), doc.get("vpc_ip"), doc.get("freed_at"), entry.mod_revision)
        except (ValueError, AttributeError):
            return cls(None, None, None, entry.mod_revision)


@dataclass(frozen=True, slots=True)
class Owned:
    """All records, read after `guard_revision`: a transaction that compares the guard sees them unchanged.

    `addresses` by unique IP; `vnis`: the VPC's id by VNI, in decimal.
    """

    addresses: Mapping[str, Owner]
    vnis: Mapping[str, str]
    guard_revision: int


async def read_owned(store: Store) -> Owned:
    """Read all ownership records."""
    guard = await store.get(GUARD)
    addresses, _ = await store.range(UNIQUE_IPS)
    vnis, _ = await store.range(VNIS)
    return Owned(
        addresses={entry.key.removeprefix(UNIQUE_IPS): Owner.from_entry(entry) for entry in addresses},
        vnis={entry.key.removeprefix(VNIS): _vpc_id(entry) for entry in vnis},
        guard_revision=guard.mod_revision if guard else 0,
    )


def _vpc_id(entry: Entry) -> str:
    try:
        return str(json.loads(entry.value)["vpc_id"])
    except (ValueError, KeyError, TypeError):
        # Somebody's, though nobody can say whose.
        return "?"
