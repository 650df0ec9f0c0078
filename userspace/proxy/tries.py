"""Which endpoint comes next after a failure, and whether one may."""

from collections.abc import Callable, Set

from control.model.upstream import Endpoint
from userspace.config.compiled import CompiledUpstream
from userspace.errors import LbError
from userspace.proxy.failures import IDEMPOTENT, is_stale, may_retry


class Tries:
    """The tries of one exchange, made at its first failure: most have none. `count` is of those after the first."""

    __slots__ = ("_compiled", "_endpoint", "_method", "_pick", "_tried", "count", "wants_new")

    def __init__(
        self, compiled: CompiledUpstream, method: str, pick: Callable[[Set[Endpoint]], Endpoint | None]
    ) -> None:
        """`pick`: gives an endpoint beside those that were tried."""
        self._compiled = compiled
        self._pick = pick
        self._method = method
        self._tried: set[Endpoint] = set()
        self._endpoint: Endpoint | None = None
        self.count = 0
        self.wants_new = False  # a kept connection failed: the next one is to be newly opened

    def allow(self, error: LbError, endpoint: Endpoint, sent: bool, reused: bool, elapsed: float) -> bool:
        """Say whether another try may follow the one at `endpoint` that failed with `error`.

        `sent`: some of the request may have reached an endpoint in any try. `reused`: this try was on a kept
        connection. `elapsed`: seconds since the exchange began.

        A stale connection says nothing about its endpoint: the same one is asked once more, on a new connection, and
        that counts neither against `retries` nor as having tried it.
        """
        compiled = self._compiled
        upstream = compiled.upstream
        if upstream is None or not may_retry(error, sent, self._method in IDEMPOTENT):
            return False
        if 0 < upstream.retry_timeout < elapsed:
            return False
        if is_stale(error, reused) and not self.wants_new:
            self.wants_new = True
            self._endpoint = endpoint
        else:
            self.wants_new = False
            self._endpoint = None
            self._tried.add(endpoint)
            if len(self._tried) > compiled.retries:
                return False
        self.count += 1
        return True

    def next(self) -> Endpoint | None:
        """Return the endpoint of the try that `allow` allowed; None when all were tried."""
        if self._endpoint is not None:
            return self._endpoint
        return self._pick(self._tried)
