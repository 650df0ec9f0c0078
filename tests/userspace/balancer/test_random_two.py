from collections import Counter

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import counts, endpoints, members
from userspace.balancer.load import Loads
from userspace.balancer.random_two import RandomTwo


def test_while_nothing_is_under_way_shares_are_those_of_the_weights() -> None:
    counted = counts(RandomTwo(members(3, 1), Loads()), 4000)
    assert 0.72 < counted["1"] / 4000 < 0.78


def test_the_less_loaded_of_two_is_picked() -> None:
    loads = Loads()
    picker = RandomTwo(members(1, 1), loads)
    loads.of(endpoints(1)[0]).under_way = 1
    assert counts(picker, 50) == {"2": 50}


def test_load_counts_by_weight() -> None:
    loads = Loads()
    picker = RandomTwo(members(4, 1), loads)
    loads.of(endpoints(4)[0]).under_way = 3
    loads.of(endpoints(4, 1)[1]).under_way = 1
    assert counts(picker, 50) == {"1": 50}


def test_what_piles_up_stays_nearly_even() -> None:
    loads = Loads()
    picker = RandomTwo(members(*[1] * 10), loads, 1)
    for _ in range(1000):
        endpoint = picker.pick()
        assert endpoint is not None
        picker.began(endpoint)
    under_way = [loads.of(endpoint).under_way for endpoint in endpoints(*[1] * 10)]
    assert sum(under_way) == 1000 and max(under_way) - min(under_way) <= 8, "by chance alone it would be some 40"


def test_began_and_ended_balance() -> None:
    loads = Loads()
    picker = RandomTwo(members(1, 1), loads)
    for seconds in (0.1, None):
        picker.began(endpoints(1)[0])
        assert loads.of(endpoints(1)[0]).under_way == 1
        picker.ended(endpoints(1)[0], seconds)
        assert loads.of(endpoints(1)[0]).under_way == 0


def test_retries_go_to_the_others_until_none_is_left() -> None:
    for weights in ((1, 1, 1), (1000000, 1, 1)):
        picker = RandomTwo(members(*weights), Loads())
        tried: set[Endpoint] = set()
        while (endpoint := picker.pick(tried)) is not None:
            assert endpoint not in tried
            tried.add(endpoint)
        assert tried == set(endpoints(*weights))


def test_who_warms_up_is_drawn_less() -> None:
    counted = counts(RandomTwo(members(1, 1, shares=(1, 0.1)), Loads()), 2200)
    assert 120 < counted["2"] < 280


def test_an_endpoint_that_is_hardly_ever_drawn_relieves_a_loaded_one_all_the_same() -> None:
    loads = Loads()
    picker = RandomTwo(members(2**30, 1), loads)
    assert Counter(picker.pick() for _ in range(20)) == {endpoints(2**30)[0]: 20}
    loads.of(endpoints(2**30)[0]).under_way = 2**31
    assert picker.pick() == endpoints(2**30, 1)[1]
