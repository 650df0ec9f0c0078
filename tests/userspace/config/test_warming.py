"""Who warms up, and how far it is."""

from dataclasses import replace

from control.model.balancing import WarmUp
from control.model.upstream import Endpoint, Upstream
from userspace.config.warming import Cold, cold_of, shares_of

ONE, TWO, THREE = (Endpoint(f"10.0.0.{at}", 80, 1) for at in (1, 2, 3))
UPSTREAM = Upstream("u", "roundrobin", (ONE, TWO), warm_up=WarmUp(seconds=100))
WIDER = replace(UPSTREAM, endpoints=(ONE, TWO, THREE))
NOBODY: frozenset[Endpoint] = frozenset()
NONE: Cold = {}


def test_the_first_endpoints_of_an_upstream_are_warm() -> None:
    assert cold_of(UPSTREAM, NOBODY, None, NOBODY, NONE, 50) == {}
    assert cold_of(UPSTREAM, NOBODY, replace(UPSTREAM, endpoints=()), NOBODY, NONE, 50) == {}


def test_a_new_endpoint_is_cold_until_its_time_is_over() -> None:
    cold = cold_of(WIDER, NOBODY, UPSTREAM, NOBODY, NONE, 50)
    assert cold == {("10.0.0.3", 80): 50}
    assert cold_of(WIDER, NOBODY, WIDER, NOBODY, cold, 149.9) == cold
    assert cold_of(WIDER, NOBODY, WIDER, NOBODY, cold, 150) == {}


def test_a_changed_weight_makes_nobody_cold_and_nobody_warm() -> None:
    heavier = replace(WIDER, endpoints=tuple(replace(endpoint, weight=5) for endpoint in WIDER.endpoints))
    assert cold_of(heavier, NOBODY, WIDER, NOBODY, {("10.0.0.3", 80): 20}, 50) == {("10.0.0.3", 80): 20}


def test_who_was_down_begins_when_it_is_up_again() -> None:
    assert cold_of(UPSTREAM, {TWO}, UPSTREAM, NOBODY, NONE, 50) == {}
    assert cold_of(UPSTREAM, {TWO}, UPSTREAM, {TWO}, NONE, 60) == {}
    assert cold_of(UPSTREAM, NOBODY, UPSTREAM, {TWO}, NONE, 70) == {("10.0.0.2", 80): 70}
    assert cold_of(WIDER, {THREE}, WIDER, NOBODY, {("10.0.0.3", 80): 20}, 50) == {}, "down again, from the start again"


def test_the_addresses_of_a_name_that_was_not_resolved_are_warm_and_later_ones_are_not() -> None:
    name = replace(UPSTREAM, endpoints=(Endpoint("a.example", 80, 1),))
    found = replace(UPSTREAM, endpoints=(replace(ONE, domain="a.example"),))
    more = replace(UPSTREAM, endpoints=(replace(ONE, domain="a.example"), replace(TWO, domain="a.example")))
    assert cold_of(found, NOBODY, name, NOBODY, NONE, 50) == {}
    assert cold_of(more, NOBODY, found, NOBODY, NONE, 50) == {("10.0.0.2", 80): 50}


def test_shares_are_those_of_the_curve() -> None:
    cold = {("10.0.0.3", 80): 100.0}
    assert shares_of(WIDER, cold, 100) == {THREE: 0.1}
    assert shares_of(WIDER, cold, 150) == {THREE: 0.5}
    assert shares_of(WIDER, cold, 200) == {}


def test_without_warm_up_nobody_is_cold() -> None:
    plain = replace(WIDER, warm_up=None)
    assert cold_of(plain, NOBODY, UPSTREAM, {TWO}, {("10.0.0.3", 80): 1}, 2) == {}
    assert shares_of(plain, {("10.0.0.3", 80): 1}, 2) == {}
