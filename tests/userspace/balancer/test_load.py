from math import exp

import pytest

from tests.userspace.balancer.members import endpoints
from userspace.balancer.load import EXPIRY, Load, Loads


def test_the_first_measurement_is_taken_as_it_is_and_fades() -> None:
    load = Load()
    assert load.latency(0) == 0
    load.measured(0.2, 1000)
    assert load.latency(1000) == 0.2
    assert load.latency(1010) == pytest.approx(0.2 * exp(-1))


def test_a_later_measurement_counts_the_more_the_older_the_last_one_is() -> None:
    soon, late = Load(), Load()
    for load, when in ((soon, 1), (late, 20)):
        load.measured(0.1, 0)
        load.measured(1.0, when)
    assert soon.latency(1) == pytest.approx(0.1 * exp(-0.1) + 1 - exp(-0.1))
    assert soon.latency(1) < late.latency(20) == pytest.approx(0.1 * exp(-2) + 1 - exp(-2))


def test_after_a_minute_nothing_is_known() -> None:
    load = Load()
    load.measured(5, 0)
    assert load.latency(EXPIRY - 0.001) > 0 == load.latency(EXPIRY)
    load.measured(0.3, EXPIRY)
    assert load.latency(EXPIRY) == 0.3


def test_a_clock_that_went_back_makes_nothing_worse() -> None:
    load = Load()
    load.measured(0.1, 100)
    assert load.latency(50) == 0.1
    load.measured(0.5, 50)
    assert load.latency(50) == 0.1


def test_loads_go_by_address_and_outlive_a_changed_weight() -> None:
    loads = Loads()
    [light], [heavy] = endpoints(1), endpoints(9)
    loads.of(light).under_way = 3
    assert loads.of(heavy).under_way == 3 and len(loads) == 1


def test_what_is_gone_is_forgotten_once_idle() -> None:
    loads = Loads()
    one, two, three = endpoints(1, 1, 1)
    for endpoint in (one, two, three):
        loads.of(endpoint).under_way = 1
    loads.of(two).under_way = 0
    loads.keep([three])
    assert len(loads) == 2 and loads.of(one).under_way == 1
    loads.of(one).under_way = 0
    loads.keep([three])
    assert len(loads) == 1
