"""Addresses that objects own outside VPCs: local addresses of nodes, addresses of VIPs, EIPs.

A record per address, `/unilb/addresses/POOL/ADDRESS`: `{"owners": ["node/gw1"]}`, or `{"freed_at": seconds}` while it
rests. Addresses that somebody chose are recorded like those that were given, so that they are not given to others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from control.allocate.pool import Pool, PoolExhausted
from control.model.keys import ADDRESSES, USES
from control.store.base import MAX_COMPARES, Compare, Delete, Put, Store

# Records of addresses that have rested out, removed along with one allocation.
MAX_FORGOTTEN = 64
# Compares that the caller adds: the object itself, its guards, and what it refers to.
CALLERS_COMPARES = 110


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose an address is ("node/gw1"; several VIPs may share one), or since when it rests (Unix seconds)."""

    owners: tuple[str, ...]
    freed_at: int | None
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Claims:
    """All records of one pool, read after its guard: a transaction that compares the guard sees them unchanged."""

    name: str
    by_address: Mapping[str, Claim]
    guard_revision: int

    def of(self, owner: str) -> list[str]:
        """The addresses of `owner`, in the order of their numbers."""
        mine = [address for address, claim in self.by_address.items() if owner in claim.owners]
        return sorted(mine, key=lambda address: (":" in address, int(ip_address(address))))


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """`addresses` are the owner's from now on. The plan is void unless all `compares` hold."""

    addresses: tuple[str, ...]
    compares: tuple[Compare, ...]
    ops: tuple[Put | Delete, ...]


async def read_claims(store: Store, name: str) -> Claims:
    """Read the records of the pool `name` ("laddrs", "vips", "eips")."""
    guard = await store.get(_guard(name))
    prefix = f"{ADDRESSES}{name}/"
    entries, _ = await store.range(prefix)
    records = {entry.key.removeprefix(prefix): _claim(entry.value, entry.mod_revision) for entry in entries}
    return Claims(name, records, guard.mod_revision if guard else 0)


def plan_claim(
    claims: Claims, owner: str, chosen: Sequence[str], count: int, pool: Pool | None, now: int, shared: bool = False
) -> ClaimPlan:
    """Plan that `owner` has exactly the addresses `chosen`, or if there are none `count` from `pool`, of which those
    that it has stay; () and 0 give all back. `shared`: an address that was chosen may have other owners.

    Who chooses an address that rests knows what they do: only what is given has rested. Raises PoolExhausted;
    NoPool; AddressTaken when a chosen address is another's.
    """
    mine = claims.of(owner)
    if chosen:
        wanted = tuple(chosen)
        for address in wanted:
            _check_free(claims, owner, address, shared)
    else:
        kept = [address for address in mine if pool is not None and pool.holds(address)][:count]
        wanted = (*kept, *_take(count - len(kept), claims, pool, now))
    gained = [address for address in wanted if address not in mine]
    lost = [address for address in mine if address not in wanted]
    forgotten = [a for a in _rested(claims, pool, now) if a not in gained][:MAX_FORGOTTEN]
    prefix = f"{ADDRESSES}{claims.name}/"
    compares = [Compare(_guard(claims.name), claims.guard_revision)]
    single = [Compare(prefix + address, _revision(claims, address)) for address in gained]
    # The guard alone suffices; while they fit, the addresses are compared too, against writers that ignore the guard.
    if len(single) + CALLERS_COMPARES <= MAX_COMPARES:
        compares += single
    ops: list[Put | Delete] = [Put(_guard(claims.name), b"")]
    ops += [Put(prefix + address, _json({"owners": [*_owners(claims, address), owner]})) for address in gained]
    for address in lost:
        others = [other for other in _owners(claims, address) if other != owner]
        ops.append(Put(prefix + address, _json({"owners": others} if others else {"freed_at": now})))
    ops += [Delete(prefix + address) for address in forgotten]
    return ClaimPlan(wanted, tuple(compares), tuple(ops) if gained or lost else ())


class NoPool(Exception):
    """Nothing gives such addresses: each has to be chosen."""


class AddressTaken(Exception):
    """`address` is not to be had; `str(error)` says whose it is."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(why)
        self.address = address


def _check_free(claims: Claims, owner: str, address: str, shared: bool) -> None:
    claim = claims.by_address.get(address)
    if claim is None or owner in claim.owners:
        return
    if claim.owners and not shared:
        kind, _, id = claim.owners[0].partition("/")
        raise AddressTaken(address, f"{address} belongs to {kind} [{id}]")
    if not claim.owners and claim.freed_at is None:
        raise AddressTaken(address, f"{address} has a record that can not be read")


def _take(count: int, claims: Claims, pool: Pool | None, now: int) -> Iterator[str]:
    if count <= 0:
        return
    if pool is None:
        raise NoPool(f"there is no pool of {claims.name}")
    rested = set(_rested(claims, pool, now))
    free = pool.free({address for address in claims.by_address if address not in rested})
    for _ in range(count):
        address = next(free, None)
        if address is None:
            raise PoolExhausted(f"no address is left in {pool.network}")
        yield address


def _rested(claims: Claims, pool: Pool | None, now: int) -> Iterator[str]:
    rest = pool.rest if pool is not None else 0
    for address, claim in claims.by_address.items():
        if not claim.owners and claim.freed_at is not None and claim.freed_at + rest <= now:
            yield address


def _owners(claims: Claims, address: str) -> tuple[str, ...]:
    claim = claims.by_address.get(address)
    return claim.owners if claim is not None else ()


def _revision(claims: Claims, address: str) -> int:
    claim = claims.by_address.get(address)
    return claim.mod_revision if claim is not None else 0


def _guard(name: str) -> str:
    return f"{USES}addresses/{name}"


def _claim(value: bytes, revision: int) -> Claim:
    """A record. One that cannot be read has no owner and never rests out: its address stays unused."""
    try:
        doc: Any = json.loads(value)
        owners = tuple(str(owner) for owner in doc.get("owners", ()))
        freed_at = doc.get("freed_at")
        return Claim(owners, freed_at if isinstance(freed_at, int) else None, revision)
    except (ValueError, AttributeError, TypeError):
        return Claim((), None, revision)


def _json(doc: Mapping[str, object]) -> bytes:
    return json.dumps(doc, separators=(",", ":")).encode()
