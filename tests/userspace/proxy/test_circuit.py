"""Limits of what is under way, and the budget of what is sent again."""

from typing import Any

import pytest

from control.model.upstream import Upstream
from userspace.proxy.circuit import WINDOW_SECONDS, Circuit


def circuit(**fields: Any) -> Circuit:
    document = {"type": "roundrobin", "nodes": {"127.0.0.1:80": 1}, **fields}
    return Circuit(Upstream.from_json(document, "u"))


def test_requests_at_once_are_limited_and_each_end_makes_room() -> None:
    made = circuit(limits={"requests": 2})
    assert [made.enter() for _ in range(3)] == [True, True, False]
    made.leave()
    assert made.enter() and not made.enter()
    made.leave()
    made.leave()
    assert made.is_idle


def test_connections_being_opened_are_limited() -> None:
    made = circuit(limits={"pending": 1})
    assert made.may_connect()
    made.pending += 1
    assert not made.may_connect() and not made.is_idle


def test_without_limits_everything_goes() -> None:
    made = circuit()
    made.pending = 10**6
    assert made.may_connect() and all(made.enter() for _ in range(1000))


def repeated(made: Circuit, tries: int, now: float) -> int:
    return sum(made.may_repeat(now) for _ in range(tries))


def test_a_budget_is_a_share_of_the_requests_and_never_less_than_its_least() -> None:
    made = circuit(retry_budget={"percent": 20, "min_per_second": 1})
    for _ in range(1000):
        made.enter()
    assert repeated(made, 1000, 0.0) == 200 + 1 * WINDOW_SECONDS


def test_a_storm_is_bounded_over_time_however_long_it_lasts() -> None:
    made = circuit(retry_budget={"percent": 10, "min_per_second": 0})
    allowed = 0
    for step in range(600):  # a minute of 100 requests a second, each failing
        for _ in range(10):
            made.enter()
            allowed += made.may_repeat(step / 10)
    assert 400 <= allowed <= 6000 * 0.1 * 1.2


def test_what_was_spent_comes_back_little_by_little() -> None:
    made = circuit(retry_budget={"percent": 0, "min_per_second": 1})
    assert repeated(made, 50, 100.0) == 10
    assert repeated(made, 50, 100.0 + WINDOW_SECONDS) == 0
    assert repeated(made, 50, 100.0 + 1.5 * WINDOW_SECONDS) == 5
    assert repeated(made, 50, 100.0 + 9 * WINDOW_SECONDS) == 10


def test_a_budget_of_nothing_repeats_nothing() -> None:
    made = circuit(retry_budget={"percent": 0, "min_per_second": 0})
    made.enter()
    assert not made.may_repeat(0.0)


@pytest.mark.parametrize("count", [1, 5])
def test_a_new_version_counts_what_is_under_way(count: int) -> None:
    made = circuit()
    for _ in range(count):
        made.enter()
    made.configure(Upstream.from_json({"type": "roundrobin", "nodes": {}, "limits": {"requests": count}}, "u"))
    assert not made.enter()
