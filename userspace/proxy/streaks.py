"""Streaks: when a worker's own failures at an endpoint are enough to leave it out, before the checker says so. Pure.

The checker's word counts; but until it has come, some milliseconds later, other requests would meet the same end.
"""

from typing import Final

from control.model.health import TCP_FAILURE, TIMED_OUT, Checks, Limits

MAX_STREAKS: Final = 10_000  # endpoints that failed last; beyond, all are forgotten
MAX_UPSTREAMS: Final = 100_000  # whose first traffic is remembered; likewise
GRACE: Final = 1.0  # seconds after its first traffic in which an upstream's failures do not count, as in the checker

Key = tuple[str, str]
"""Upstream id, endpoint as address:port."""


class Streaks:
    """Failures in a row, by endpoint and kind. A success ends them; and what is older than an interval of the probes,
    which may have succeeded meanwhile, is not counted."""

    __slots__ = ("_first", "_streaks")

    def __init__(self) -> None:
        self._streaks: dict[Key, dict[int, tuple[int, float]]] = {}
        self._first: dict[str, float] = {}

    def reached(self, key: Key, code: int, checks: Checks, now: float) -> bool:
        """Count one outcome at an endpoint; True when it makes the limit of its kind full. `now`: seconds."""
        first = self._first.get(key[0])
        if first is None:
            if len(self._first) >= MAX_UPSTREAMS:
                self._first.clear()
            first = self._first[key[0]] = now
        assert checks.passive is not None
        limits = checks.passive.limits
        if code in limits.healthy_statuses:
            if self._streaks:
                self._streaks.pop(key, None)
            return False
        limit = _limit(limits, code)
        if limit == 0 or (checks.passive.is_tcp and code >= 0) or now < first + GRACE:
            return False
        return self._count(key, min(code, 0), checks.active.healthy_interval, now) >= limit

    def _count(self, key: Key, kind: int, within: int, now: float) -> int:
        if len(self._streaks) >= MAX_STREAKS:
            self._streaks.clear()
        streak = self._streaks.setdefault(key, {})
        count, last = streak.get(kind, (0, now))
        count = count + 1 if now - last <= within else 1
        streak[kind] = (count, now)
        return count


def _limit(limits: Limits, code: int) -> int:
    """How many such outcomes in a row are enough; 0 for any number."""
    if code == TCP_FAILURE:
        return limits.tcp_failures
    if code == TIMED_OUT:
        return limits.timeouts
    return limits.http_failures if code in limits.unhealthy_statuses or code == 0 else 0
