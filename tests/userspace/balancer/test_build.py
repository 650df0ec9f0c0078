from collections import Counter
from typing import Any

import pytest

from control.model.balancing import TYPES
from control.model.upstream import Endpoint, Upstream
from tests.userspace.balancer.members import counts, endpoints
from userspace.balancer.build import Here, build, by_priority, ring_with_drained, usable
from userspace.balancer.chash import ConsistentHash
from userspace.balancer.least_conn import LeastConn
from userspace.balancer.load import Loads
from userspace.balancer.picker import NOBODY, Picker
from userspace.balancer.tiers import Priorities, Zones


def upstream(some: tuple[Endpoint, ...], type: str = "roundrobin", **fields: Any) -> Upstream:
    return Upstream("u1", type, some, **fields)


def drawn(picker: Picker, count: int) -> Counter[str]:
    """How often each host was picked, by its last digit, while none of the tries ends."""
    counted: Counter[str] = Counter()
    for at in range(count):
        endpoint = picker.pick(key=str(at))
        assert endpoint is not None
        picker.began(endpoint)
        counted[endpoint.host[-1]] += 1
    return counted


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_nobody_drained_down_or_tried_is_picked(type: str) -> None:
    some = endpoints(3, 0, 1, 2)
    picker = build(upstream(some, type), down={some[3]})
    assert set(drawn(picker, 200)) <= {"1", "3"}
    assert picker.pick({some[0]}, "k") == some[2]
    assert picker.pick({some[0], some[2]}, "k") is None


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_no_endpoints_no_pick(type: str) -> None:
    some = endpoints(1, 1)
    assert build(upstream((), type)).pick() is None
    assert build(upstream(some, type), down=set(some)) is NOBODY


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_a_lower_priority_waits(type: str) -> None:
    high, low = endpoints(1, 1), endpoints(9, priority=-1, first=3)
    picker = build(upstream(low + high, type))
    assert set(drawn(picker, 50)) <= {"1", "2"}
    assert picker.pick(set(high), "k") == low[0]
    assert set(drawn(build(upstream(low + high, type), down=set(high)), 5)) == {"3"}


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_all_drained_count_the_same(type: str) -> None:
    picker = build(upstream(endpoints(0, 0), type))
    assert min(drawn(picker, 60).values()) > 10


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_the_own_zone_is_preferred_and_the_rest_spills_over(type: str) -> None:
    near, far = endpoints(*[1] * 4, zone="a"), endpoints(*[1] * 4, first=5, zone="b")
    spilling = upstream(near + far, type, spill_over=100)
    here = Here(zone="a")
    assert set(drawn(build(spilling, here), 100)) <= set("1234")
    half = drawn(build(spilling, here, down=set(near[:2])), 1000)
    assert not {"1", "2"} & set(half) and 0.42 < (half["3"] + half["4"]) / 1000 < 0.58
    assert set(drawn(build(spilling, here, down=set(near)), 100)) <= set("5678")
    assert set(drawn(build(spilling, Here(zone="c")), 500)) == set("12345678")
    assert set(drawn(build(upstream(near + far, type), here), 500)) == set("12345678")


@pytest.mark.parametrize("type", TYPES)
def test_whatever_the_type_who_warms_up_gets_less(type: str) -> None:
    some = endpoints(1, 1, 1)
    loads = Loads()
    for endpoint in some[:2]:
        loads.of(endpoint).measured(0.1, 0)
    picker = build(upstream(some, type), shares={some[2]: 0.1}, loads=loads)
    assert 0 < drawn(picker, 600)["3"] < 100


def test_apisix_counts_with_a_drained_endpoint() -> None:
    assert counts(build(upstream(endpoints(3, 0, 1))), 12) == {"1": 9, "3": 3}
    assert counts(build(upstream(endpoints(0, 0))), 4) == {"1": 2, "2": 2}


def test_a_drained_higher_priority_is_not_used() -> None:
    picker = build(upstream(endpoints(0) + endpoints(1, priority=-1, first=2)))
    assert counts(picker, 3) == {"2": 3}


def test_of_zones_within_priorities_the_higher_priority_comes_first() -> None:
    near, far = endpoints(1, zone="a"), endpoints(1, first=2, zone="b")
    low = endpoints(1, priority=-1, first=3, zone="a")
    picker = build(upstream(near + far + low, spill_over=70), Here(zone="a"))
    assert isinstance(picker, Priorities) and isinstance(next(iter(picker._tiers)), Zones)
    assert picker.pick() == near[0]
    assert picker.pick({near[0]}) == far[0], "another zone before a lower priority"
    assert picker.pick({near[0], far[0]}) == low[0]


def test_a_ring_is_made_once_for_all_states_of_health() -> None:
    some = endpoints(1, 1, 1)
    first = build(upstream(some, "chash"))
    second = build(upstream(some, "chash"), down={some[0]}, previous=first)
    third = build(upstream(some[1:], "chash"), previous=second)
    assert isinstance(first, ConsistentHash) and isinstance(second, ConsistentHash)
    assert second._hashes is first._hashes
    assert isinstance(third, ConsistentHash) and third._hashes is not first._hashes
    assert third.pick(key="k") != some[0] != second.pick(key="k")


def test_loads_are_kept_from_one_picker_to_the_next() -> None:
    loads = Loads()
    first = build(upstream(endpoints(1, 1), "least_conn"), loads=loads)
    busy = first.pick()
    assert busy is not None
    first.began(busy)
    second = build(upstream(endpoints(1, 1, 1), "least_conn"), loads=loads, previous=first)
    assert isinstance(second, LeastConn)
    assert busy not in {second.pick(), second.pick({endpoints(1, 1, 1)[2]})}
    build(upstream(()), loads=loads, previous=second)
    assert len(loads) == 1, "what is under way is known until it ends"


@pytest.mark.parametrize("type", TYPES)
def test_an_address_that_is_its_own_last_resort_is_tried_again(type: str) -> None:
    some = endpoints(1) + endpoints(1, first=2) + endpoints(1, priority=-1)
    picker = build(upstream(some, type))
    tried: set[Endpoint] = set()
    while (endpoint := picker.pick(tried, "k")) is not None:
        assert endpoint not in tried
        picker.began(endpoint)
        picker.ended(endpoint, 0.1)
        tried.add(endpoint)
    assert tried == set(some)


def test_members_and_groups() -> None:
    some = endpoints(1, 0) + endpoints(2, priority=5, first=3)
    assert [member.endpoint for member in usable(some)] == [some[0], some[2]]
    assert [[m.endpoint.priority for m in group] for group in by_priority(usable(some))] == [[5], [0]]
    assert usable(some, {some[0]: 0.5})[0].share == 0.5


def test_the_ring_of_all_is_the_one_from_before_the_drain() -> None:
    before = build(upstream(endpoints(2, 2, 2, 1), "chash"))
    drained = endpoints(2, 0, 2, 1)
    ring = ring_with_drained(upstream(drained))
    assert ring is not None
    for key in map(str, range(200)):
        was, now = before.pick(key=key), ring.pick(key=key)
        assert was is not None and now is not None and was.address == now.address
    assert ring_with_drained(upstream(endpoints(1, 2))) is None
    assert ring_with_drained(upstream(endpoints(0, 0))) is None
