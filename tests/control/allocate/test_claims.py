"""Who gets which address: pure plans, then writers side by side."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.allocate.claims import AddressTaken, Claim, ClaimPlan, Claims, NoPool, plan_claim, read_claims
from control.allocate.pool import Pool, PoolExhausted, parse_pool
from control.store.base import Put, Store
from control.store.open import open_store

NOW = 2_000_000_000
POOL = parse_pool("10.9.0.0/29", 600)  # .1 to .6


def claims(**owners: str | int) -> Claims:
    """`a1="node/x"`: 10.9.0.1 belongs to node x; a number: it rests since then."""
    return Claims(
        "laddrs",
        {
            f"10.9.0.{key[1:]}": Claim((), value, 5) if isinstance(value, int) else Claim((value,), None, 5)
            for key, value in owners.items()
        },
        3,
    )


def records(plan: ClaimPlan) -> Mapping[str, bytes | None]:
    prefix = "/unilb/addresses/laddrs/"
    return {
        op.key.removeprefix(prefix): op.value if isinstance(op, Put) else None
        for op in plan.ops
        if op.key.startswith(prefix)
    }


def test_the_lowest_free_addresses_are_given() -> None:
    plan = plan_claim(claims(a1="node/x"), "node/y", (), 2, POOL, NOW)
    assert plan.addresses == ("10.9.0.2", "10.9.0.3")
    assert records(plan) == dict.fromkeys(plan.addresses, b'{"owners":["node/y"]}')
    assert (plan.compares[0].key, plan.compares[0].mod_revision) == ("/unilb/uses/addresses/laddrs", 3)


def test_what_an_owner_has_it_keeps() -> None:
    plan = plan_claim(claims(a4="node/y"), "node/y", (), 2, POOL, NOW)
    assert plan.addresses == ("10.9.0.4", "10.9.0.1")
    assert plan_claim(claims(a4="node/y"), "node/y", (), 1, POOL, NOW).ops == ()


def test_addresses_of_both_families_are_in_order() -> None:
    mixed = Claims(
        "laddrs", {a: Claim(("node/y",), None, 1) for a in ("fd00::2", "10.9.0.10", "10.9.0.9", "fd00::1")}, 0
    )
    assert mixed.of("node/y") == ["10.9.0.9", "10.9.0.10", "fd00::1", "fd00::2"]


def test_what_is_given_back_rests() -> None:
    plan = plan_claim(claims(a4="node/y", a5="node/y"), "node/y", (), 1, POOL, NOW)
    assert (plan.addresses, records(plan)) == (("10.9.0.4",), {"10.9.0.5": b'{"freed_at":2000000000}'})
    resting = plan_claim(claims(a1=NOW - 599), "node/y", (), 1, POOL, NOW)
    rested = plan_claim(claims(a1=NOW - 600), "node/y", (), 1, POOL, NOW)
    assert (resting.addresses, rested.addresses) == (("10.9.0.2",), ("10.9.0.1",))


def test_a_chosen_address_is_recorded_and_may_be_outside_the_pool() -> None:
    plan = plan_claim(claims(), "node/y", ("10.9.0.3", "172.16.0.1"), 0, POOL, NOW)
    assert plan.addresses == ("10.9.0.3", "172.16.0.1") and set(records(plan)) == set(plan.addresses)


def test_a_chosen_address_is_refused_when_it_is_anothers() -> None:
    with pytest.raises(AddressTaken, match=r"10.9.0.3 belongs to node \[x\]") as refused:
        plan_claim(claims(a3="node/x"), "node/y", ("10.9.0.3",), 0, POOL, NOW)
    assert refused.value.address == "10.9.0.3"
    with pytest.raises(AddressTaken, match="can not be read"):
        plan_claim(Claims("laddrs", {"10.9.0.3": Claim((), None, 1)}, 0), "node/y", ("10.9.0.3",), 0, POOL, NOW)


def test_a_shared_address_is_free_when_its_last_owner_leaves() -> None:
    both = plan_claim(claims(a3="vip/x"), "vip/y", ("10.9.0.3",), 1, POOL, NOW, shared=True)
    assert records(both) == {"10.9.0.3": b'{"owners":["vip/x","vip/y"]}'}
    shared = Claims("laddrs", {"10.9.0.3": Claim(("vip/x", "vip/y"), None, 5)}, 3)
    assert records(plan_claim(shared, "vip/x", (), 0, POOL, NOW)) == {"10.9.0.3": b'{"owners":["vip/y"]}'}


def test_without_an_address_left_or_a_pool_nothing_is_given() -> None:
    with pytest.raises(PoolExhausted, match=r"no address is left in 10.9.0.0/29"):
        plan_claim(claims(), "node/y", (), 7, POOL, NOW)
    with pytest.raises(NoPool, match="there is no pool of laddrs"):
        plan_claim(claims(), "node/y", (), 1, None, NOW)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3), st.integers(0, 400)), max_size=30))
def test_whatever_is_asked_no_address_has_two_owners_or_is_given_before_it_rested(
    asked: list[tuple[str, int, int]],
) -> None:
    found: dict[str, Claim] = {}
    freed: dict[str, int] = {}
    now = NOW
    for name, count, later in asked:
        now += later
        before = {address: claim.owners for address, claim in found.items()}
        try:
            plan = plan_claim(Claims("laddrs", dict(found), 1), name, (), count, POOL, now)
        except PoolExhausted:
            continue
        for address in plan.addresses:
            assert before.get(address, ()) in ((), (name,))
            if before.get(address) != (name,) and address in freed:
                assert now - freed[address] >= POOL.rest
        for address, value in records(plan).items():
            if value is None:
                del found[address]
            elif b"freed_at" in value:
                found[address], freed[address] = Claim((), now, 1), now
            else:
                found[address] = Claim((name,), None, 1)
        assert sorted(a for a, claim in found.items() if claim.owners == (name,)) == sorted(plan.addresses)


@pytest.fixture(params=["sqlite", pytest.param("etcd", marks=pytest.mark.etcd)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite://{tmp_path}/s.db" if request.param == "sqlite" else request.getfixturevalue("start_etcd")().url
    store = open_store(url)
    yield store
    await store.close()


async def test_writers_side_by_side_never_give_one_address_twice(store: Store) -> None:
    pool = parse_pool("10.9.0.0/26", 600)

    async def take(name: str) -> Any:
        while True:
            plan = plan_claim(await read_claims(store, "laddrs"), name, (), 3, pool, NOW)
            if (await store.txn(list(plan.compares), list(plan.ops))).succeeded:
                return plan.addresses

    given = await asyncio.gather(*(take(f"node/{number}") for number in range(12)))
    flat = [address for addresses in given for address in addresses]
    assert len(flat) == len(set(flat)) == 36
    found = await read_claims(store, "laddrs")
    assert [tuple(found.of(f"node/{number}")) for number in range(12)] == [tuple(sorted(g, key=_number)) for g in given]


def _number(address: str) -> int:
    return int(address.rpartition(".")[2])


async def test_a_record_that_cannot_be_read_stays_nobodys(store: Store) -> None:
    await store.txn([], [Put("/unilb/addresses/laddrs/10.9.0.1", b"[]")])
    found = await read_claims(store, "laddrs")
    assert plan_claim(found, "node/y", (), 1, Pool(POOL.network, 0), NOW + 10_000).addresses == ("10.9.0.2",)
