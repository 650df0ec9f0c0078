"""Circuit: what one worker has under way to one upstream, how much of it there may be, and how much is sent again."""

from typing import Final

from control.model.protection import RetryBudget, UpstreamLimits
from control.model.upstream import Upstream

WINDOW_SECONDS: Final = 10.0


class Circuit:
    """Counts and says no; whoever asks counts the refusals. Times are seconds of any clock that never goes back.

    The budget looks at the present window and the one before it, so it is spent evenly rather than at each turn.
    """

    __slots__ = ("_before", "_begun", "_budget", "_limits", "_retries", "_started", "pending", "requests")

    def __init__(self, upstream: Upstream) -> None:
        self.requests = 0  # under way
        self.pending = 0  # connections being opened
        self._started = 0  # requests of this window
        self._retries = 0  # of this window
        self._before = (0, 0)  # (requests, retries) of the window before
        self._begun = 0.0
        self.configure(upstream)

    def configure(self, upstream: Upstream) -> None:
        """Go on under a new version of the upstream."""
        self._limits: UpstreamLimits = upstream.limits
        self._budget: RetryBudget = upstream.retry_budget

    @property
    def is_idle(self) -> bool:
        return self.requests == 0 and self.pending == 0

    def enter(self) -> bool:
        """Begin a request; False when there are too many. One that entered has to `leave`."""
        if 0 < self._limits.requests <= self.requests:
            return False
        self.requests += 1
        self._started += 1
        return True

    def leave(self) -> None:
        """The request is over."""
        self.requests -= 1

    def may_connect(self) -> bool:
        """Say whether one more connection may be opened now."""
        return not 0 < self._limits.pending <= self.pending

    def may_repeat(self, now: float) -> bool:
        """Take one try of a request that an endpoint may have received from the budget; False when it is spent."""
        age = now - self._begun
        if age >= WINDOW_SECONDS:
            self._before = (self._started, self._retries) if age < 2 * WINDOW_SECONDS else (0, 0)
            self._started = self._retries = 0
            self._begun = now
            age = 0.0
        # Of the window before, as much counts as lies within the last WINDOW_SECONDS.
        share = 1 - age / WINDOW_SECONDS
        requests = self._started + share * self._before[0]
        retries = self._retries + share * self._before[1]
        budget = self._budget
        if retries + 1 > budget.min_per_second * WINDOW_SECONDS + requests * budget.percent / 100:
            return False
        self._retries += 1
        return True
