from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import counts, endpoints, members
from userspace.balancer.least_conn import LeastConn
from userspace.balancer.load import Loads


def take(picker: LeastConn, tried: frozenset[Endpoint] = frozenset()) -> Endpoint:
    endpoint = picker.pick(tried)
    assert endpoint is not None
    picker.began(endpoint)
    return endpoint


def test_the_heaviest_is_picked_while_nothing_is_under_way() -> None:
    picker = LeastConn(members(2, 3, 1), Loads())
    for _ in range(5):
        endpoint = take(picker)
        assert endpoint.host[-1] == "2"
        picker.ended(endpoint, 0.1)


def test_tries_under_way_count_by_weight() -> None:
    """Weights 3 and 2, nothing ends: (1 + n) / weight of the first is 1/3, 2/3, 1, ..., of the second 1/2, 1, ..."""
    picker = LeastConn(members(3, 2), Loads())
    assert "".join(take(picker).host[-1] for _ in range(5)) == "12121"


def test_equals_take_turns_though_nothing_is_under_way() -> None:
    picker = LeastConn(members(1, 1, 1), Loads())
    seen = []
    for _ in range(6):
        seen.append(take(picker))
        picker.ended(seen[-1], 0.1)
    assert seen[:3] == seen[3:] and len(set(seen)) == 3


def test_whose_tries_end_is_picked_again() -> None:
    picker = LeastConn(members(1, 1, 1), Loads())
    first, second, third = take(picker), take(picker), take(picker)
    picker.ended(second, 0.1)
    assert take(picker) == second
    picker.ended(third, None)
    assert take(picker) == third
    picker.ended(first, 0.1)
    assert take(picker) == first


def test_a_retry_skips_the_tried_and_leaves_them_in_place() -> None:
    picker = LeastConn(members(9, 5, 1), Loads())
    some = endpoints(9, 5, 1)
    assert picker.pick({some[0]}) == some[1]
    assert picker.pick({some[0], some[1]}) == some[2]
    assert picker.pick(set(some)) is None
    assert picker.pick() == some[0]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.lists(st.integers(0, 30), max_size=80))
def test_the_pick_is_always_one_of_the_least(weights: list[int], steps: list[int]) -> None:
    picker = LeastConn(members(*weights), Loads())
    under_way: list[Endpoint] = []
    counted: Counter[Endpoint] = Counter()
    for step in steps:
        if step % 3 and under_way:
            endpoint = under_way.pop(step % len(under_way))
            counted[endpoint] -= 1
            picker.ended(endpoint, 0.1)
        else:
            endpoint = take(picker)
            scores = {each: (1 + counted[each]) / each.weight for each in endpoints(*weights)}
            assert scores[endpoint] <= min(scores.values()) + 1e-9
            counted[endpoint] += 1
            under_way.append(endpoint)


def test_a_successor_knows_what_is_under_way_and_hears_of_its_end_from_whom_began_it() -> None:
    loads = Loads()
    old = LeastConn(members(1, 1), loads)
    first = take(old)
    new = LeastConn(members(1, 1), loads)
    other = take(new)
    assert other != first
    take(new)
    old.ended(first, 0.1)
    old.ended(other, 0.1)
    assert take(new) == other
    assert old.pick() is not None, "a replaced picker still serves the retries of those that hold it"


def test_who_warms_up_counts_as_much_lighter() -> None:
    picker = LeastConn(members(1, 1, shares=(1, 0.1)), Loads())
    assert Counter(take(picker).host[-1] for _ in range(11)) == {"1": 10, "2": 1}


def test_what_is_remembered_is_bounded() -> None:
    picker = LeastConn(members(1, 1, 1), Loads())
    for _ in range(1000):
        picker.ended(take(picker), 0.1)
    held = [take(picker) for _ in range(500)]
    for endpoint in held:
        picker.ended(endpoint, 0.1)
    assert len(picker._heap) <= 2 * 3 + 16
    assert len(counts(picker, 3)) == 1
