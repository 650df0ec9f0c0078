"""Deadlines for everything a worker waits for: one timer per worker, none per request.

Each `Timed` is in at most one bucket, that of its earliest deadline since it was filed. When the bucket comes up,
what has moved its deadline meanwhile is filed again, so a busy keep-alive connection pays for filing once per time-out
and otherwise only stores an integer. A deadline fires up to two ticks late, never early.
"""

import asyncio

TICK_SECONDS = 0.1
_KNOWN_TICKS = 1024  # distinct time-outs whose ticks are remembered


class Timed:
    """Something with a deadline. Subclasses implement `expired`; slots only, so it mixes with asyncio.Protocol."""

    __slots__ = ("deadline", "filed")

    def __init__(self) -> None:
        self.deadline = 0  # tick; 0 = none
        self.filed = 0  # tick of the bucket it is in; 0 = none

    def expired(self) -> None:
        """The deadline has passed; it has been cleared before this call."""
        raise AssertionError(f"{type(self).__name__} set a deadline and has no expired()")


class Wheel:
    """Buckets of `Timed`, by tick. Every operation is O(1); to have no deadline for a while, set `deadline` to 0."""

    __slots__ = ("_buckets", "_handle", "_known", "_loop", "_now", "tick_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, tick_seconds: float = TICK_SECONDS) -> None:
        self.tick_seconds = tick_seconds
        self._loop = loop
        self._now = 1
        self._buckets: dict[int, set[Timed]] = {}
        self._known: dict[float, int] = {}
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick."""
        self._handle = self._loop.call_later(self.tick_seconds, self._turn)

    def stop(self) -> None:
        """End ticking; nothing expires any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def ticks(self, seconds: float) -> int:
        """Return how many ticks these seconds take: at least one, rounded up, plus the part of a tick already gone."""
        known = self._known.get(seconds)
        if known is None:
            if len(self._known) >= _KNOWN_TICKS:
                self._known.clear()
            known = self._known[seconds] = max(1, -int(-seconds // self.tick_seconds)) + 1
        return known

    @property
    def now(self) -> int:
        """The present tick."""
        return self._now

    def set(self, timed: Timed, ticks: int) -> None:
        """Let `timed` expire in `ticks` (see `ticks()`), whatever its deadline was."""
        due = timed.deadline = self._now + ticks
        filed = timed.filed
        if filed == 0:
            self._file(timed, due)
        elif filed > due:
            self._buckets[filed].discard(timed)
            self._file(timed, due)

    def remove(self, timed: Timed) -> None:
        """Forget `timed`, so that nothing keeps it alive."""
        timed.deadline = 0
        if timed.filed:
            self._buckets[timed.filed].discard(timed)
            timed.filed = 0

    def _file(self, timed: Timed, due: int) -> None:
        timed.filed = due
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {timed}
        else:
            bucket.add(timed)

    def _turn(self) -> None:
        self._handle = self._loop.call_later(self.tick_seconds, self._turn)
        now = self._now = self._now + 1
        bucket = self._buckets.get(now)
        while bucket:
            timed = bucket.pop()
            timed.filed = 0
            if timed.deadline > now:
                self._file(timed, timed.deadline)
            elif timed.deadline:
                timed.deadline = 0
                timed.expired()
        self._buckets.pop(now, None)
