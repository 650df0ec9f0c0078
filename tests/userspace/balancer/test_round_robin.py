from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import counts, endpoints, members, picks
from userspace.balancer.round_robin import MAX_CYCLE, RoundRobin


def test_equal_weights_take_turns() -> None:
    assert picks(RoundRobin(members(1, 1, 1)), 7) == "1231231"
    assert picks(RoundRobin(members(5, 5)), 4) == "1212"


def test_unequal_weights_are_spread_as_nginx_spreads_them() -> None:
    assert picks(RoundRobin(members(5, 1, 1)), 14) == "1121311" * 2
    assert picks(RoundRobin(members(2, 1)), 6) == "121121"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 10))
def test_any_window_as_long_as_a_round_is_exactly_in_proportion(weights: list[int], before: int) -> None:
    picker = RoundRobin(members(*weights))
    for _ in range(before):
        picker.pick()
    for _ in range(3):
        counted = Counter(picker.pick() for _ in range(sum(weights)))
        assert counted == {endpoint: endpoint.weight for endpoint in endpoints(*weights)}


def test_the_counts_of_apisix_hold_wherever_a_dozen_requests_begin() -> None:
    for weights, expected in (
        ((1, 1), {"1": 6, "2": 6}),
        ((1, 1, 1), {"1": 4, "2": 4, "3": 4}),
        ((3, 2, 1), {"1": 6, "2": 4, "3": 2}),
    ):
        for before in range(7):
            picker = RoundRobin(members(*weights), start=before)
            for _ in range(before):
                picker.pick()
            assert counts(picker, 12) == expected


@pytest.mark.parametrize("weights", [(MAX_CYCLE, 7, 1), (401, 400, 399, 3), tuple(range(1, 60))])
def test_rounds_too_long_to_remember_are_in_proportion_too(weights: tuple[int, ...]) -> None:
    picker = RoundRobin(members(*weights))
    for _ in range(3):
        counted = Counter(picker.pick() for _ in range(sum(weights)))
        assert counted == dict(zip(endpoints(*weights), weights, strict=True))


def test_a_long_round_is_spread_as_a_short_one() -> None:
    picker = RoundRobin(members(5 * MAX_CYCLE, MAX_CYCLE + 1, MAX_CYCLE - 1))
    for _ in range(50):
        assert counts(picker, 7) in ({"1": 5, "2": 1, "3": 1}, {"1": 5, "2": 2}, {"1": 5, "3": 2}, {"1": 6, "2": 1})


def test_huge_weights_cost_no_memory() -> None:
    picker = RoundRobin(members(2**31 - 1, 2**31 - 2))
    assert {picker.pick() for _ in range(10)} == set(endpoints(2**31 - 1, 2**31 - 2))


def test_a_retry_goes_to_one_not_tried_until_none_is_left() -> None:
    some = endpoints(100, 1, 1)
    picker = RoundRobin(members(100, 1, 1))
    tried: set[Endpoint] = set()
    for _ in some:
        endpoint = picker.pick(tried)
        assert endpoint is not None and endpoint not in tried
        tried.add(endpoint)
    assert tried == set(some)
    assert picker.pick(tried) is None


def test_retries_of_a_dead_endpoint_are_shared_among_the_others() -> None:
    some = endpoints(1, 1, 1, 1)
    picker = RoundRobin(members(1, 1, 1, 1))
    counted = Counter(picker.pick({some[0]}) for _ in range(40))
    assert counted[some[0]] == 0 and min(counted[endpoint] for endpoint in some[1:]) >= 10


def test_who_warms_up_gets_its_share() -> None:
    assert counts(RoundRobin(members(1, 1, 1, shares=(1, 1, 0.1))), 210) == {"1": 100, "2": 100, "3": 10}
    assert counts(RoundRobin(members(3, 1, shares=(0.5, 1))), 250) == {"1": 150, "2": 100}


def test_an_ever_so_small_share_is_one_request_in_a_while() -> None:
    assert counts(RoundRobin(members(1, 1, shares=(1, 0.0001))), 101) == {"1": 100, "2": 1}


def test_a_ramp_of_many_pickers_leaves_nobody_out_however_few_requests_each_of_them_sees() -> None:
    picker, counted = RoundRobin(members(1, 1, shares=(1, 0.1))), Counter[str]()
    for step in range(100):
        counted += counts(picker, 3)
        picker = RoundRobin(members(1, 1, shares=(1, 0.1 + step / 1000)), phases=picker.phases)
    assert 30 <= counted["2"] <= 45, "between 3 x 100 x 0.1 / 1.1 and x 0.2 / 1.2"


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 1)])
def test_two_builds_agree_and_starts_differ(weights: tuple[int, ...]) -> None:
    assert picks(RoundRobin(members(*weights), 7), 50) == picks(RoundRobin(members(*weights), 7), 50)
    assert {picks(RoundRobin(members(1, 1, 1), start), 1) for start in range(3)} == {"1", "2", "3"}
    assert counts(RoundRobin(members(*weights), 1), 9 * sum(weights)) == counts(
        RoundRobin(members(*weights)), 9 * sum(weights)
    )
