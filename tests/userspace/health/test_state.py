"""The state machine against lua-resty-healthcheck's rules, row by row."""

import pytest

from control.model.health import ACTIVE_LIMITS, PASSIVE_LIMITS
from userspace.health.state import NEW, Health, Outcome, Status, after, limit_of, outcome_of

S, H, T, O = Outcome.SUCCESS, Outcome.HTTP, Outcome.TCP, Outcome.TIMEOUT  # noqa: E741
UP, MUP, MDOWN, DOWN = Status.HEALTHY, Status.MOSTLY_HEALTHY, Status.MOSTLY_UNHEALTHY, Status.UNHEALTHY
LIMITS = {S: 2, H: 3, T: 2, O: 3}


@pytest.mark.parametrize(
    ("reports", "status", "counters"),
    [
        ([], UP, (0, 0, 0, 0)),
        ([S, S, S], UP, (0, 0, 0, 0)),  # agreeing with a settled state counts nothing
        ([H], MUP, (0, 1, 0, 0)),
        ([H, H, H], DOWN, (0, 3, 0, 0)),
        ([H, H, H, H], DOWN, (0, 3, 0, 0)),
        ([T, T], DOWN, (0, 0, 2, 0)),
        ([O, O, O], DOWN, (0, 0, 0, 3)),
        ([H, T, H, O], MUP, (0, 2, 1, 1)),  # each kind counts for itself
        ([H, H, S], MUP, (1, 0, 0, 0)),  # one success forgets all failures
        ([H, H, S, H, H], MUP, (0, 2, 0, 0)),  # and one failure all successes
        ([H, S, S], UP, (2, 0, 0, 0)),
        ([H, S, S, H], MUP, (0, 1, 0, 0)),
        ([T, T, S], MDOWN, (1, 0, 0, 0)),
        ([T, T, S, H], MDOWN, (0, 1, 0, 0)),
        ([T, T, S, H, H, H], DOWN, (0, 3, 0, 0)),
        ([T, T, S, S], UP, (2, 0, 0, 0)),
        ([T, T, S, S, S], UP, (2, 0, 0, 0)),
        ([T, T, S, T, S, S], UP, (2, 0, 0, 0)),
    ],
)
def test_reports_lead_to(reports: list[Outcome], status: Status, counters: tuple[int, int, int, int]) -> None:
    health = NEW
    for report in reports:
        health = after(health, report, LIMITS[report])
    assert health == Health(status, *counters)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("status", list(Status))
def test_a_limit_of_zero_switches_an_outcome_off(outcome: Outcome, status: Status) -> None:
    health = Health(status, 1, 2, 3, 4)
    assert after(health, outcome, 0) is health


@pytest.mark.parametrize(("status", "is_up"), [(UP, True), (MUP, True), (MDOWN, False), (DOWN, False)])
def test_only_what_is_mostly_healthy_is_used(status: Status, is_up: bool) -> None:
    assert Health(status).is_up is is_up


def test_one_failure_is_enough_where_the_limit_is_one() -> None:
    assert after(NEW, T, 1) == Health(DOWN, tcp_failure=1)
    assert after(Health(DOWN, tcp_failure=1), S, 1) == Health(UP, success=1)


@pytest.mark.parametrize(
    ("status", "active", "passive"),
    [
        (200, S, S),
        (201, None, S),
        (302, S, S),
        (404, H, None),
        (500, H, H),
        (502, H, None),
        (100, None, None),
        (0, H, H),  # no HTTP at all
    ],
)
def test_a_status_means(status: int, active: Outcome | None, passive: Outcome | None) -> None:
    assert outcome_of(ACTIVE_LIMITS, status) is active
    assert outcome_of(PASSIVE_LIMITS, status) is passive


def test_each_outcome_has_its_limit() -> None:
    assert [limit_of(ACTIVE_LIMITS, outcome) for outcome in (S, H, T, O)] == [2, 5, 2, 3]
    assert [limit_of(PASSIVE_LIMITS, outcome) for outcome in (S, H, T, O)] == [5, 5, 2, 7]
