from collections import Counter

import pytest

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import counts, endpoints
from userspace.balancer.chash import ConsistentHash
from userspace.balancer.least_conn import LeastConn
from userspace.balancer.load import Loads
from userspace.balancer.picker import Member, Picker
from userspace.balancer.round_robin import RoundRobin
from userspace.balancer.tiers import Priorities, Zones, near_share

HIGH, LOW = endpoints(1, 1), endpoints(1, 1, first=3)


def of(some: tuple[Endpoint, ...]) -> list[Member]:
    return [Member(endpoint, endpoint.weight) for endpoint in some]


def test_a_lower_priority_waits_until_all_of_the_higher_were_tried() -> None:
    picker = Priorities([RoundRobin(of(HIGH)), RoundRobin(of(LOW))])
    assert set(counts(picker, 10)) == {"1", "2"}
    assert picker.pick({HIGH[0]}) == HIGH[1]
    assert picker.pick(set(HIGH)) == LOW[0]
    assert picker.pick({*HIGH, LOW[1]}) == LOW[0]
    assert picker.pick({*HIGH, *LOW}) is None


def test_feedback_and_keys_reach_the_tier_that_they_concern() -> None:
    loads = Loads()
    picker = Priorities([LeastConn(of(HIGH), loads), LeastConn(of(LOW), loads)])
    assert picker.wants_feedback and not picker.wants_key
    first = picker.pick(set(HIGH))
    assert first is not None
    picker.began(first)
    second = picker.pick(set(HIGH))
    assert second is not None and second != first
    picker.ended(first, 0.1)
    picker.began(second)
    assert picker.pick(set(HIGH)) == first
    hashing = Priorities([ConsistentHash(of(HIGH)), ConsistentHash(of(LOW))])
    assert hashing.wants_key and len({hashing.pick(key=str(at)) for at in range(50)}) == 2


@pytest.mark.parametrize(("share", "near"), [(1.0, 100), (0.5, 50), (0.25, 25), (0.0, 0)])
def test_the_share_of_the_own_zone_is_exact(share: float, near: int) -> None:
    picker = Zones(RoundRobin(of(HIGH)), RoundRobin(of(LOW)), share)
    counted = counts(picker, 100)
    assert counted["1"] + counted["2"] == near


def test_a_zone_serves_what_the_other_can_not() -> None:
    picker = Zones(RoundRobin(of(HIGH)), RoundRobin(of(LOW)), 1.0)
    assert picker.pick(set(HIGH)) in LOW
    away = Zones(RoundRobin(of(HIGH)), RoundRobin(of(LOW)), 0.0)
    assert away.pick(set(LOW)) in HIGH
    assert away.pick({*HIGH, *LOW}) is None


def test_keys_that_spill_over_stay_away_while_the_share_only_falls() -> None:
    def far(share: float) -> set[str]:
        picker = Zones(ConsistentHash(of(HIGH)), ConsistentHash(of(LOW)), share)
        return {key for key in map(str, range(2000)) if picker.pick(key=key) in LOW}

    shares = [1.0, 0.9, 0.5, 0.1, 0.0]
    spilled = [far(share) for share in shares]
    for share, keys, more in zip(shares, spilled, spilled[1:], strict=False):
        assert keys <= more and abs(len(keys) / 2000 - (1 - share)) < 0.04


def test_zones_pass_feedback_on() -> None:
    loads = Loads()
    picker = Zones(LeastConn(of(HIGH), loads), LeastConn(of(LOW), loads), 0.5)
    counted: Counter[Endpoint] = Counter()
    for _ in range(8):
        endpoint = picker.pick()
        assert endpoint is not None
        picker.began(endpoint)
        counted[endpoint] += 1
    assert set(counted.values()) == {2}
    for endpoint in counted.elements():
        picker.ended(endpoint, None)
    assert sum(loads.of(endpoint).under_way for endpoint in counted) == 0


@pytest.mark.parametrize(
    ("up", "all", "spill_over", "share"),
    [
        (10, 10, 70, 1),
        (7, 10, 70, 1),
        (35, 100, 70, 0.5),
        (0, 10, 70, 0),
        (1, 10, 0, 1),
        (0, 10, 0, 0),
        (9, 10, 100, 0.9),
    ],
)
def test_how_much_stays(up: int, all: int, spill_over: int, share: float) -> None:
    assert near_share(up, all, spill_over) == share


def test_leaves_are_all_that_pick() -> None:
    near, far, low = RoundRobin(of(HIGH)), RoundRobin(of(LOW)), Picker()
    assert list(Priorities([Zones(near, far, 1), low]).leaves()) == [near, far, low]
