from collections import Counter

from control.model.upstream import Endpoint
from tests.userspace.balancer.members import endpoints, members
from userspace.balancer.ewma import Ewma
from userspace.balancer.load import Loads


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def drive(picker: Ewma, clock: Clock, latencies: dict[str, float], count: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    for _ in range(count):
        endpoint = picker.pick()
        assert endpoint is not None
        picker.began(endpoint)
        digit = endpoint.host[-1]
        clock.now += latencies[digit]
        picker.ended(endpoint, latencies[digit])
        counted[digit] += 1
    return counted


def test_the_slower_of_two_is_asked_once() -> None:
    """APISIX's own example: 12 requests, 0.1 s and 0.2 s."""
    for seed in range(8):
        clock = Clock()
        picker = Ewma(members(1, 1), Loads(), clock, seed)
        assert drive(picker, clock, {"1": 0.1, "2": 0.2}, 12) == {"1": 11, "2": 1}


def test_weights_do_not_count() -> None:
    clock = Clock()
    picker = Ewma(members(1, 1000), Loads(), clock)
    assert drive(picker, clock, {"1": 0.1, "2": 0.2}, 12) == {"1": 11, "2": 1}


def test_of_many_the_slowest_gets_nothing_and_the_fastest_most() -> None:
    clock = Clock()
    picker = Ewma(members(1, 1, 1, 1), Loads(), clock, 3)
    counted = drive(picker, clock, {"1": 0.001, "2": 0.002, "3": 0.003, "4": 0.5}, 400)
    assert counted["4"] == 1 and counted["1"] > counted["2"] > counted["3"]


def test_one_that_became_fast_again_is_found_out_when_its_average_has_faded() -> None:
    clock = Clock()
    picker = Ewma(members(1, 1), Loads(), clock)
    assert drive(picker, clock, {"1": 0.1, "2": 1.0}, 20)["2"] == 1
    clock.now += 60
    assert drive(picker, clock, {"1": 0.1, "2": 0.05}, 20)["2"] >= 18


def test_a_try_without_a_response_measures_nothing() -> None:
    loads = Loads()
    picker = Ewma(members(1, 1), loads, Clock())
    picker.began(endpoints(1)[0])
    picker.ended(endpoints(1)[0], None)
    assert loads.of(endpoints(1)[0]).latency(1000) == 0


def test_retries_go_to_the_others_until_none_is_left() -> None:
    picker = Ewma(members(1, 1, 1), Loads(), Clock())
    tried: set[Endpoint] = set()
    while (endpoint := picker.pick(tried)) is not None:
        assert endpoint not in tried
        tried.add(endpoint)
    assert tried == set(endpoints(1, 1, 1))
    assert Ewma(members(1), Loads(), Clock()).pick() == endpoints(1)[0]


def test_who_warms_up_is_passed_over_though_nothing_is_known_of_it() -> None:
    clock = Clock()
    loads = Loads()
    loads.of(endpoints(1)[0]).measured(0.1, clock.now)
    picker = Ewma(members(1, 1, shares=(1, 0.1)), loads, clock)
    counted = Counter(picker.pick() for _ in range(2000))
    assert 140 < counted[endpoints(1, 1)[1]] < 260


def test_what_was_measured_outlives_the_picker() -> None:
    clock, loads = Clock(), Loads()
    drive(Ewma(members(1, 1), loads, clock), clock, {"1": 0.1, "2": 0.2}, 5)
    assert drive(Ewma(members(2, 1), loads, clock), clock, {"1": 0.1, "2": 0.2}, 5) == {"1": 5}


def test_same_seed_same_draws() -> None:
    def drawn(seed: int) -> list[Endpoint | None]:
        picker = Ewma(members(1, 1, 1), Loads(), Clock(), seed)
        return [picker.pick() for _ in range(20)]

    assert drawn(7) == drawn(7) != drawn(8)
