"""The state of one checked endpoint: four states, four counters, one table. As lua-resty-healthcheck counts. Pure.

A success resets the counters of failures, a failure that of successes. Reports that agree with a settled state count
nothing. Active and passive checks share the counters and have limits of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from control.model.health import Limits


class Status(StrEnum):
    """HEALTHY and UNHEALTHY are settled; the others have heard the contrary, less often than the limit asks for."""

    HEALTHY = "healthy"
    MOSTLY_HEALTHY = "mostly_healthy"
    MOSTLY_UNHEALTHY = "mostly_unhealthy"
    UNHEALTHY = "unhealthy"


class Outcome(StrEnum):
    """What a check or an exchange met; the values name counters on the Control API."""

    SUCCESS = "success"
    HTTP = "http_failure"
    TCP = "tcp_failure"
    TIMEOUT = "timeout_failure"


# (status, whether the report is a success) -> (status below the limit, status at it). What is not here counts nothing.
_NEXT: Final[Mapping[tuple[Status, bool], tuple[Status, Status]]] = {
    (Status.HEALTHY, False): (Status.MOSTLY_HEALTHY, Status.UNHEALTHY),
    (Status.MOSTLY_HEALTHY, False): (Status.MOSTLY_HEALTHY, Status.UNHEALTHY),
    (Status.MOSTLY_HEALTHY, True): (Status.MOSTLY_HEALTHY, Status.HEALTHY),
    (Status.MOSTLY_UNHEALTHY, False): (Status.MOSTLY_UNHEALTHY, Status.UNHEALTHY),
    (Status.MOSTLY_UNHEALTHY, True): (Status.MOSTLY_UNHEALTHY, Status.HEALTHY),
    (Status.UNHEALTHY, True): (Status.MOSTLY_UNHEALTHY, Status.HEALTHY),
}


@dataclass(frozen=True, slots=True)
class Health:
    """One endpoint's state. The counters bear the names of the Control API."""

    status: Status = Status.HEALTHY
    success: int = 0
    http_failure: int = 0
    tcp_failure: int = 0
    timeout_failure: int = 0

    @property
    def is_up(self) -> bool:
        """Whether it is sent requests."""
        return self.status is Status.HEALTHY or self.status is Status.MOSTLY_HEALTHY


NEW: Final = Health()
"""An endpoint nobody has said anything of counts as healthy."""


def after(health: Health, outcome: Outcome, limit: int) -> Health:
    """Return the state after one more `outcome`, of which `limit` settle it; the same object if it does not count."""
    is_success = outcome is Outcome.SUCCESS
    follows = _NEXT.get((health.status, is_success))
    if limit == 0 or follows is None:
        return health
    count: int = getattr(health, outcome) + 1
    status = follows[count >= limit]
    if is_success:
        return Health(status, success=count)
    return replace(health, status=status, success=0, **{outcome.value: count})


def limit_of(limits: Limits, outcome: Outcome) -> int:
    """How many of `outcome` in a row `limits` asks for."""
    if outcome is Outcome.SUCCESS:
        return limits.successes
    if outcome is Outcome.HTTP:
        return limits.http_failures
    return limits.tcp_failures if outcome is Outcome.TCP else limits.timeouts


def outcome_of(limits: Limits, status: int) -> Outcome | None:
    """What an HTTP status means; None when it means nothing. 0, a response that is none, is a failure."""
    if status in limits.healthy_statuses:
        return Outcome.SUCCESS
    return Outcome.HTTP if status in limits.unhealthy_statuses or status == 0 else None
