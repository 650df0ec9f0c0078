"""Observations: what exchanges meet at endpoints with passive checks, for the node's checker."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from control.model.health import TCP_FAILURE, TIMED_OUT
from control.model.upstream import Upstream
from userspace.errors import LbError
from userspace.proxy.streaks import Streaks

FLUSH_WITHIN: Final = 0.01  # seconds: what is bad news is told so soon after the last
MAX_RUNS: Final = 64  # changes from one outcome to another kept per endpoint; beyond, the oldest are forgotten

_CODES: Final = {
    "connect_timeout": TIMED_OUT, "send_timeout": TIMED_OUT, "read_timeout": TIMED_OUT,
    "connect_refused": TCP_FAILURE, "connect_unreachable": TCP_FAILURE, "connect_failed": TCP_FAILURE,
    "bad_response": 0, "reset": TCP_FAILURE, "closed": TCP_FAILURE, "truncated": TCP_FAILURE, "tls_failed": TCP_FAILURE,
}  # fmt: skip


def code_of(error: LbError) -> int | None:
    """What a failure says of the endpoint; None when it is our own, or one of the answer's content."""
    return _CODES.get(error.kind)


class _Seen:
    """Of one endpoint since the last flush: outcomes in their order, and how long its answers took."""

    __slots__ = ("answers", "runs", "total_ms")

    def __init__(self) -> None:
        self.runs: list[list[int]] = []  # [code, how often in a row]
        self.answers = 0
        self.total_ms = 0.0


class Observations:
    """Outcomes in the order they came, many in one message. Bad news is told at once, before its client is answered;
    good news with the next report, or with the bad news that follows it. `dropped`: outcomes that were not told.

    `on_streak(upstream id, endpoint)` is called when this worker alone has seen enough to leave an endpoint out.
    """

    __slots__ = ("_flush_at", "_loop", "_on_streak", "_pending", "_seen", "_send", "_streaks", "dropped")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[Mapping[str, object]], bool] = lambda message: False,
        on_streak: Callable[[str, str], None] = lambda upstream, endpoint: None,
    ) -> None:
        self.dropped = 0
        self._streaks = Streaks()
        self._on_streak = on_streak
        self._loop = loop
        self._send = send
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._pending: asyncio.TimerHandle | None = None
        self._flush_at = 0.0

    def answered(self, upstream: Upstream, endpoint: str, status: int, ms: float) -> None:
        """The head of a response came, so long after the request was sent. `upstream` has passive checks."""
        seen = self._add((upstream.id, endpoint), status)
        seen.answers += 1
        seen.total_ms += ms
        assert upstream.checks is not None and upstream.checks.passive is not None
        if status in upstream.checks.passive.limits.unhealthy_statuses:
            self._soon()
        self._weigh(upstream, endpoint, status)

    def failed(self, upstream: Upstream, endpoint: str, code: int) -> None:
        """A try ended without a response; `code` is TCP_FAILURE, TIMED_OUT, or the status that the client gets."""
        self._add((upstream.id, endpoint), code)
        self._soon()
        self._weigh(upstream, endpoint, code)

    def flush(self) -> None:
        """Tell everything."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        self._flush_at = self._loop.time() + FLUSH_WITHIN
        rows = [[*key, each.runs, each.answers, each.total_ms] for key, each in seen.items()]
        if not self._send({"type": "passive", "seen": rows}):
            self.dropped += sum(times for each in seen.values() for _, times in each.runs)

    def _weigh(self, upstream: Upstream, endpoint: str, code: int) -> None:
        assert upstream.checks is not None
        if self._streaks.reached((upstream.id, endpoint), code, upstream.checks, self._loop.time()):
            self._on_streak(upstream.id, endpoint)

    def _add(self, key: tuple[str, str], code: int) -> _Seen:
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _Seen()
        runs = seen.runs
        if runs and runs[-1][0] == code:
            runs[-1][1] += 1
        else:
            if len(runs) >= MAX_RUNS:
                self.dropped += runs.pop(0)[1]
            runs.append([code, 1])
        return seen

    def _soon(self) -> None:
        if self._pending is not None:
            return
        wait = self._flush_at - self._loop.time()
        if wait <= 0:
            self.flush()
        else:
            self._pending = self._loop.call_later(wait, self.flush)
