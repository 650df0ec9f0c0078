"""plan_vpc against a model of the store: no address ever has two owners, none is reused before it has rested."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.allocate.owned import GUARD, Owned, Owner
from control.allocate.plan import MAX_FORGOTTEN, Plan, PoolExhausted, needs_allocation, plan_vpc
from control.allocate.pool import Pool
from control.model.errors import ModelError
from control.model.keys import UNIQUE_IPS, VNIS
from control.model.vpc import Vpc, VpcEndpoint
from control.store.base import MAX_COMPARES, MAX_OPS, Compare, Delete, Put

POOL = Pool(IPv4Network("100.64.0.0/28"), rest=10)
NOBODY = Owned({}, {}, 0)


def vpc(id: str, *ips: int, vni: int = 1) -> Vpc:
    names = [f"192.168.0.{ip}" for ip in ips]
    return Vpc(
        id, vni, "192.168.0.0/24", 1450, {n: VpcEndpoint(n, "10.1.0.31", "02:00:00:00:00:01", "") for n in names}
    )


@dataclass
class Keys:
    """The records as a store would hold them, and the transaction's rules."""

    records: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    revision: int = 1

    def owned(self) -> Owned:
        addresses: dict[str, Owner] = {}
        vnis: dict[str, str] = {}
        for key, (value, revision) in self.records.items():
            if key.startswith(UNIQUE_IPS):
                doc = json.loads(value)
                owner = Owner(doc.get("vpc_id"), doc.get("vpc_ip"), doc.get("freed_at"), revision)
                addresses[key.removeprefix(UNIQUE_IPS)] = owner
            if key.startswith(VNIS):
                vnis[key.removeprefix(VNIS)] = json.loads(value)["vpc_id"]
        return Owned(addresses, vnis, self.revision_of(GUARD))

    def revision_of(self, key: str) -> int:
        return self.records[key][1] if key in self.records else 0

    def commit(self, plan: Plan) -> bool:
        if any(self.revision_of(compare.key) != compare.mod_revision for compare in plan.compares):
            return False
        assert len({op.key for op in plan.ops}) == len(plan.ops)
        self.revision += 1
        for op in plan.ops:
            if isinstance(op, Put):
                self.records[op.key] = (op.value, self.revision)
            else:
                self.records.pop(op.key, None)
        return True


def test_a_new_vpc_gets_addresses_its_vni_and_the_guard() -> None:
    plan = plan_vpc(None, vpc("blue", 10, 11), NOBODY, 0, POOL)
    assert plan.unique_ips == {"192.168.0.10": "100.64.0.1", "192.168.0.11": "100.64.0.2"}
    assert plan.compares == (
        Compare(GUARD, 0),
        Compare(UNIQUE_IPS + "100.64.0.1", 0),
        Compare(UNIQUE_IPS + "100.64.0.2", 0),
    )
    assert plan.ops == (
        Put(GUARD, b""),
        Put(UNIQUE_IPS + "100.64.0.1", b'{"vpc_id":"blue","vpc_ip":"192.168.0.10"}'),
        Put(UNIQUE_IPS + "100.64.0.2", b'{"vpc_id":"blue","vpc_ip":"192.168.0.11"}'),
        Put(VNIS + "1", b'{"vpc_id":"blue"}'),
    )


def test_a_deleted_vpc_frees_its_addresses_and_its_vni() -> None:
    owned = Owned({"100.64.0.1": Owner("blue", "192.168.0.10", None, 5)}, {"1": "blue"}, 5)
    plan = plan_vpc(vpc("blue", 10), None, owned, 77, POOL)
    assert plan.ops == (
        Put(GUARD, b""),
        Put(UNIQUE_IPS + "100.64.0.1", b'{"freed_at":77}'),
        Delete(VNIS + "1"),
    )


def test_an_address_rests_to_the_second() -> None:
    resting = Owned({"100.64.0.1": Owner(None, None, 100, 5)}, {}, 5)
    for now, unique_ip in ((100, "100.64.0.2"), (109, "100.64.0.2"), (110, "100.64.0.1")):
        plan = plan_vpc(None, vpc("blue", 10), resting, now, POOL)
        assert plan.unique_ips["192.168.0.10"] == unique_ip
    assert Compare(UNIQUE_IPS + "100.64.0.1", 5) in plan.compares


def test_rested_records_are_forgotten_a_few_at_a_time() -> None:
    rested = {f"100.64.{n >> 8}.{n & 255}": Owner(None, None, 0, 5) for n in range(1, 201)}
    plan = plan_vpc(None, vpc("blue", 10), Owned(rested, {}, 5), 1000, Pool(rest=10))
    forgotten = [op.key for op in plan.ops if isinstance(op, Delete)]
    assert len(forgotten) == MAX_FORGOTTEN
    assert UNIQUE_IPS + plan.unique_ips["192.168.0.10"] not in forgotten


def test_a_record_that_nobody_can_read_is_never_given_away() -> None:
    broken = Owned({"100.64.0.1": Owner(None, None, None, 5)}, {}, 5)
    assert plan_vpc(None, vpc("blue", 10), broken, 10**9, POOL).unique_ips["192.168.0.10"] == "100.64.0.2"


def test_the_vni_of_another_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match='property "vni" validation failed: 1 belongs to vpc \\[green\\]'):
        plan_vpc(None, vpc("blue"), Owned({}, {"1": "green"}, 5), 0, POOL)


def test_a_full_pool_is_an_error_of_its_own() -> None:
    plan_vpc(None, vpc("blue", *range(1, 15)), NOBODY, 0, POOL)
    with pytest.raises(PoolExhausted, match="100.64.0.0/28"):
        plan_vpc(None, vpc("blue", *range(1, 16)), NOBODY, 0, POOL)


def test_the_biggest_plan_fits_a_transaction() -> None:
    def big(net: int) -> Vpc:
        names = [f"10.{net}.{n >> 8}.{n & 255}" for n in range(2000)]
        return Vpc("b", 1, "10.0.0.0/8", 1450, {n: VpcEndpoint(n, "10.1.0.31", "02:00:00:00:00:01", "") for n in names})

    keys = Keys()
    assert keys.commit(plan_vpc(None, big(1), NOBODY, 0, Pool()))
    plan = plan_vpc(big(1), big(2), keys.owned(), 0, Pool())
    assert len(plan.ops) + 8 <= MAX_OPS and len(plan.compares) + 8 <= MAX_COMPARES


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        (None, vpc("a"), True),
        (vpc("a"), None, True),
        (vpc("a", 1), vpc("a", 1), False),
        (vpc("a", 1, 2), vpc("a", 2, 1), False),
        (vpc("a", 1), vpc("a", 2), True),
        (vpc("a", 1), vpc("a", 1, vni=2), True),
    ],
)
def test_records_are_read_only_when_they_may_change(old: Vpc | None, new: Vpc | None, needed: bool) -> None:
    assert needs_allocation(old, new) is needed


step = st.tuples(
    st.sampled_from(["blue", "green", "red"]),
    st.none() | st.frozensets(st.integers(1, 8), max_size=8),
    st.integers(0, 6),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(step, max_size=25))
def test_no_address_has_two_owners_and_none_is_reused_unrested(
    steps: list[tuple[str, frozenset[int] | None, int, bool]],
) -> None:
    """Each step is a control process that writes or deletes a VPC; a stale one read the records a step ago."""
    keys, vpcs, now = Keys(), dict[str, Vpc](), 0
    given_to: dict[str, dict[str, str]] = {}
    freed: dict[str, int] = {}
    before = keys.owned()
    for id, endpoints, seconds, is_stale in steps:
        now += seconds
        current = keys.owned()
        read, before = (before if is_stale else current), current
        old = vpcs.get(id)
        new = None if endpoints is None else vpc(id, *endpoints, vni=ord(id[0]))
        if old is None and new is None:
            continue
        try:
            plan = plan_vpc(old, new, read, now, POOL)
        except PoolExhausted:
            continue
        if not keys.commit(plan):
            assert is_stale
            continue
        check_step(given_to, freed, id, plan.unique_ips, now)
        if new is None:
            del vpcs[id]
        else:
            vpcs[id] = new
    owners = [owner for owner in keys.owned().addresses.values() if owner.vpc_id is not None]
    assert {(o.vpc_id, o.vpc_ip) for o in owners} == {(id, ip) for id, ips in given_to.items() for ip in ips}


def check_step(
    given_to: dict[str, dict[str, str]], freed: dict[str, int], id: str, unique_ips: Mapping[str, str], now: int
) -> None:
    """Compare what one VPC now has with what everybody had, and take note of it."""
    had = given_to.pop(id, {})
    others = {unique for ips in given_to.values() for unique in ips.values()}
    assert len(set(unique_ips.values())) == len(unique_ips) and not others & set(unique_ips.values())
    for ip, unique in unique_ips.items():
        if ip in had:
            assert unique == had[ip]
        else:
            assert now - freed.get(unique, -POOL.rest) >= POOL.rest
    freed.update({unique: now for ip, unique in had.items() if ip not in unique_ips})
    if unique_ips:
        given_to[id] = dict(unique_ips)
