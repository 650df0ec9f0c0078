from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.model.upstream import Endpoint
from userspace.balancer.round_robin import MAX_CYCLE, build


def endpoints(*weights: int, priority: int = 0, first: int = 1) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(f"10.0.0.{first + at}", 80, weight, priority) for at, weight in enumerate(weights))


def picks(some: tuple[Endpoint, ...], count: int, start: int = 0) -> str:
    """The last digits of the hosts picked."""
    picker = build(some, start)
    return "".join(picker.pick().host[-1] for _ in range(count))  # type: ignore[union-attr]


def test_equal_weights_take_turns() -> None:
    assert picks(endpoints(1, 1, 1), 7) == "1231231"
    assert picks(endpoints(5, 5), 4) == "1212"


def test_unequal_weights_are_spread_as_nginx_spreads_them() -> None:
    assert picks(endpoints(5, 1, 1), 14) == "1121311" * 2
    assert picks(endpoints(2, 1), 6) == "121121"


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_each_round_is_exactly_in_proportion(weights: list[int]) -> None:
    some = endpoints(*weights)
    expected = {endpoint: endpoint.weight for endpoint in some if endpoint.weight} or dict.fromkeys(some, 1)
    picker = build(some)
    for _ in range(3):
        counted = Counter(picker.pick() for _ in range(sum(expected.values())))
        assert counted == expected


def test_rounds_too_long_to_remember_are_in_proportion_too() -> None:
    weights = (MAX_CYCLE, 7, 1)
    picker = build(endpoints(*weights))
    assert Counter(picker.pick() for _ in range(sum(weights))) == dict(zip(endpoints(*weights), weights, strict=True))


def test_huge_weights_cost_no_memory() -> None:
    picker = build(endpoints(2**31 - 1, 2**31 - 2))
    assert {picker.pick() for _ in range(10)} == set(endpoints(2**31 - 1, 2**31 - 2))


def test_weight_zero_is_not_picked_beside_positive_weights_not_even_on_retry() -> None:
    some = endpoints(3, 0, 1)
    picker = build(some)
    assert Counter(picker.pick().host[-1] for _ in range(12)) == {"1": 9, "3": 3}  # type: ignore[union-attr]
    assert picker.pick({some[0], some[2]}) is None


def test_only_weight_zero_takes_turns() -> None:
    assert picks(endpoints(0, 0), 4) == "1212"


def test_a_retry_goes_to_one_not_tried_until_none_is_left() -> None:
    some = endpoints(100, 1, 1)
    picker = build(some)
    tried: set[Endpoint] = set()
    for _ in some:
        endpoint = picker.pick(tried)
        assert endpoint is not None and endpoint not in tried
        tried.add(endpoint)
    assert tried == set(some)
    assert picker.pick(tried) is None


def test_retries_of_a_dead_endpoint_are_shared_among_the_others() -> None:
    some = endpoints(1, 1, 1, 1)
    picker = build(some)
    assert Counter(picker.pick({some[0]}) for _ in range(40))[some[0]] == 0
    assert min(Counter(picker.pick({some[0]}) for _ in range(40)).values()) >= 10


def test_a_lower_priority_waits_until_all_of_the_higher_were_tried() -> None:
    high, low = endpoints(1, 1), endpoints(9, priority=-1, first=3)
    picker = build(low + high)
    assert {picker.pick() for _ in range(10)} == set(high)
    assert picker.pick({high[0]}) == high[1]
    assert picker.pick(set(high)) == low[0]
    assert picker.pick(set(high + low)) is None


def test_a_drained_higher_priority_is_not_used() -> None:
    picker = build(endpoints(0) + endpoints(1, priority=-1, first=2))
    assert picker.pick() == endpoints(1, priority=-1, first=2)[0]


def test_no_endpoints_no_pick() -> None:
    assert build(()).pick() is None


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 1)])
def test_two_builds_agree_and_starts_differ(weights: tuple[int, ...]) -> None:
    some = endpoints(*weights)
    assert picks(some, 50, 7) == picks(some, 50, 7)
    assert {picks(endpoints(1, 1, 1), 1, start) for start in range(3)} == {"1", "2", "3"}
    assert Counter(picks(some, 9 * sum(weights), 1)) == Counter(picks(some, 9 * sum(weights), 0))
