"""When a worker leaves an endpoint out on its own."""

from typing import Any

import pytest

from control.model.health import TCP_FAILURE, TIMED_OUT, Checks
from userspace.proxy import streaks as module
from userspace.proxy.streaks import GRACE, Streaks

KEY = ("u", "10.0.0.1:80")


def checks(**passive: Any) -> Checks:
    unhealthy = {"http_statuses": [500], "http_failures": 3, "tcp_failures": 2, "timeouts": 2}
    return Checks.from_json({"active": {"healthy": {"interval": 5}}, "passive": {"unhealthy": unhealthy, **passive}})


def counted(*codes: int, of: Checks | None = None, each: float = 0.01) -> list[bool]:
    """What each outcome leads to, the first of them after the grace."""
    streaks, found = Streaks(), of or checks()
    streaks.reached(KEY, 200, found, 0.0)
    return [streaks.reached(KEY, code, found, GRACE + number * each) for number, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("codes", "is_enough"),
    [
        ([TCP_FAILURE], False),
        ([TCP_FAILURE, TCP_FAILURE], True),
        ([TCP_FAILURE, 200, TCP_FAILURE], False),
        ([TCP_FAILURE, TIMED_OUT], False),  # each kind counts for itself
        ([TIMED_OUT, TIMED_OUT], True),
        ([500, 500, 500], True),
        ([500, 404, 500, 404, 500], True),  # what means nothing ends nothing
        ([500, 0, 500], True),  # no HTTP at all is an HTTP failure
        ([500, 500, 200, 500], False),
    ],
)
def test_failures_in_a_row_are_enough(codes: list[int], is_enough: bool) -> None:
    assert counted(*codes)[-1] is is_enough


def test_what_is_older_than_an_interval_of_the_probes_does_not_count() -> None:
    assert counted(TCP_FAILURE, TCP_FAILURE, each=5.0)[-1] is True
    assert counted(TCP_FAILURE, TCP_FAILURE, each=5.1)[-1] is False


def test_the_first_second_of_traffic_does_not_count() -> None:
    streaks = Streaks()
    assert not any(streaks.reached(KEY, TCP_FAILURE, checks(), number / 10) for number in range(9))


def test_limits_of_zero_and_tcp_checks_count_nothing() -> None:
    assert not any(counted(*[500] * 9, of=checks(unhealthy={"http_failures": 0, "http_statuses": [500]})))
    assert not any(counted(*[500] * 9, of=checks(type="tcp")))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAKS", 2)
    monkeypatch.setattr(module, "MAX_UPSTREAMS", 2)
    streaks, found = Streaks(), checks()
    for number in range(9):
        streaks.reached((f"u{number}", "10.0.0.1:80"), TCP_FAILURE, found, 0.0)
        streaks.reached((f"u{number}", "10.0.0.1:80"), TCP_FAILURE, found, GRACE)
    assert len(streaks._streaks) <= 2 and len(streaks._first) <= 2
