"""plan_vpc: which unique IPs and VNI a VPC gets, keeps and gives back. Pure; one transaction carries it out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from control.allocate.owned import GUARD, Owned, Owner
from control.allocate.pool import Pool, PoolExhausted
from control.model.addresses import bad_field
from control.model.keys import UNIQUE_IPS, VNIS
from control.model.vpc import Vpc
from control.store.base import MAX_COMPARES, Compare, Delete, Put

# Records of addresses that have rested out, removed along with one allocation.
MAX_FORGOTTEN = 64
# Compares that the caller adds: the VPC itself, and what it refers to.
_CALLERS_COMPARES = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """`unique_ips`: by VPC address, for every endpoint. The plan is void unless all `compares` hold."""

    unique_ips: Mapping[str, str]
    compares: tuple[Compare, ...] = ()
    ops: tuple[Put | Delete, ...] = ()


def needs_allocation(old: Vpc | None, new: Vpc | None) -> bool:
    """False when `new` has exactly the endpoints and the VNI of `old`: the ownership records need not be read."""
    if old is None or new is None:
        return True
    return old.vni != new.vni or old.endpoints.keys() != new.endpoints.keys()


def plan_vpc(old: Vpc | None, new: Vpc | None, owned: Owned, now: int, pool: Pool) -> Plan:
    """Plan the change from `old` (None: created) to `new` (None: deleted). `now`: Unix seconds.

    Raises ModelError naming the field when the VNI is another VPC's; PoolExhausted.
    """
    vpc = new or old
    assert vpc is not None
    vni_owner = owned.vnis.get(str(new.vni), new.id) if new else None
    if new is not None and vni_owner != new.id:
        raise bad_field("vni", f"{new.vni} belongs to vpc [{vni_owner}]")
    mine = {owner.vpc_ip: ip for ip, owner in owned.addresses.items() if owner.vpc_id == vpc.id and owner.vpc_ip}
    wanted = list(new.endpoints) if new else []
    fresh = _take(len([ip for ip in wanted if ip not in mine]), owned, now, pool)
    unique_ips = {ip: mine[ip] if ip in mine else next(fresh) for ip in wanted}
    given = {unique: ip for ip, unique in unique_ips.items() if ip not in mine}
    freed = [unique for ip, unique in mine.items() if ip not in unique_ips]
    forgotten = [ip for ip in _rested(owned, now, pool) if ip not in given][:MAX_FORGOTTEN]

    compares = [Compare(GUARD, owned.guard_revision)]
    single = [Compare(UNIQUE_IPS + unique, _revision(owned, unique)) for unique in given]
    # The guard alone suffices; while they fit, the addresses are compared too, against writers that ignore the guard.
    if len(single) + len(compares) + _CALLERS_COMPARES <= MAX_COMPARES:
        compares += single
    ops: list[Put | Delete] = [Put(GUARD, b"")]
    ops += [Put(UNIQUE_IPS + unique, _json({"vpc_id": vpc.id, "vpc_ip": ip})) for unique, ip in given.items()]
    ops += [Put(UNIQUE_IPS + unique, _json({"freed_at": now})) for unique in freed]
    ops += [Delete(UNIQUE_IPS + unique) for unique in forgotten]
    return Plan(unique_ips, tuple(compares), (*ops, *_vni_ops(old, new)))


def _take(count: int, owned: Owned, now: int, pool: Pool) -> Iterator[str]:
    rested = set(_rested(owned, now, pool))
    free = pool.free({ip for ip in owned.addresses if ip not in rested})
    for _ in range(count):
        address = next(free, None)
        if address is None:
            raise PoolExhausted(f"no unique IP is left in {pool.network}")
        yield address


def _rested(owned: Owned, now: int, pool: Pool) -> Iterator[str]:
    for ip, owner in owned.addresses.items():
        if owner.freed_at is not None and owner.vpc_id is None and owner.freed_at + pool.rest <= now:
            yield ip


def _revision(owned: Owned, unique_ip: str) -> int:
    owner: Owner | None = owned.addresses.get(unique_ip)
    return owner.mod_revision if owner else 0


def _vni_ops(old: Vpc | None, new: Vpc | None) -> list[Put | Delete]:
    ops: list[Put | Delete] = []
    if old is not None and (new is None or new.vni != old.vni):
        ops.append(Delete(f"{VNIS}{old.vni}"))
    if new is not None and (old is None or new.vni != old.vni):
        ops.append(Put(f"{VNIS}{new.vni}", _json({"vpc_id": new.id})))
    return ops


def _json(doc: Mapping[str, object]) -> bytes:
    return json.dumps(doc, separators=(",", ":")).encode()
