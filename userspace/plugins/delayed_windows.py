"""Windows in Redis of which requests are told what was left there a while ago (`sync_interval`), less what this
machine has let pass since. So they do not wait, and gateways together may let pass too many: what fits into a while.
While Redis does not answer, each machine counts by itself."""

from typing import Final

from userspace.plugins.env import Env
from userspace.plugins.outcome import Answered, Asked, Outcome
from userspace.plugins.quota import LocalWindows, Quota, RemoteWindows, Then
from userspace.tally import Numbers

MAX_TOUCHED: Final = 2048
"""Keys that one worker tells Redis of at once, per plugin; one beyond it is told of when it is asked for again."""

_Touched = dict[str, tuple[float, float]]


class DelayedWindows:
    """What is known of a key stands in the tally: (let pass and not told yet, left in Redis, when the window ends)."""

    __slots__ = ("_env", "_interval", "_is_closed", "_local", "_remote", "_touched")

    def __init__(self, env: Env, remote: RemoteWindows, interval: float) -> None:
        self._env = env
        self._remote = remote
        self._local = LocalWindows(env, remote.is_sliding)
        self._interval = interval
        self._touched: _Touched = {}
        self._is_closed = False

    def take(self, key: str, count: float, window: float, then: Then) -> Outcome:
        if window <= self._interval:
            return self._remote.take(key, count, window, then)
        quota = self._taken(key, count)
        if quota is not None:
            self._note(key, count, window)
            return then(quota)

        def begin(answered: Answered) -> None:
            self._remote.ask(key, count, window, 0, True, answered)

        def learned(quota: Quota | None) -> Outcome:
            if quota is None:
                return self._local.take(f"{key} alone", count, window, then)
            self._learn(key, quota)
            self._note(key, count, window)
            # Where there is no room to remember what was learned, it is good for this one request.
            return then(self._taken(key, count) or quota._replace(remaining=quota.remaining - 1))

        return Asked(begin, learned)

    def close(self) -> None:
        """Tell Redis what it was not told yet, at once."""
        self._is_closed = True
        self._tell()

    def _taken(self, key: str, count: float) -> Quota | None:
        """Let one more pass by what is known; None when nothing is."""
        now = self._env.clock()
        found: list[Quota] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float] | None:
            if numbers is None:
                return None
            passed, remaining, ends = numbers
            left = remaining - passed - 1
            found.append(Quota(count, left, (ends - now) * 100 // 1 / 100))
            return (passed + (left >= 0), remaining, ends), ends

        self._env.tally.change(_known(key), now, one_more)
        return found[0] if found else None

    def _learn(self, key: str, quota: Quota) -> None:
        now = self._env.clock()

        def news(numbers: Numbers | None) -> tuple[Numbers, float]:
            ends = now + quota.reset
            return (numbers[0] if numbers is not None else 0.0, quota.remaining, ends), ends

        self._env.tally.change(_known(key), now, news)

    def _note(self, key: str, count: float, window: float) -> None:
        """Redis is to hear of this key at the end of the interval."""
        touched, outbox = self._touched, self._env.outbox
        if not touched and outbox is not None and not self._is_closed:
            outbox.later(self._interval, self._tell)
        if key in touched or len(touched) < MAX_TOUCHED:
            touched[key] = (count, window)
        if self._is_closed:
            self._tell()

    def _tell(self) -> None:
        touched, self._touched = self._touched, {}
        for key, (count, window) in touched.items():
            self._tell_of(key, count, window)

    def _tell_of(self, key: str, count: float, window: float) -> None:
        untold = self._move(key, 0)

        def told(quota: Quota | None) -> None:
            if quota is not None:
                self._learn(key, quota)
            elif untold:
                self._move(key, untold)

        # Nothing to tell is a question all the same: what did the other gateways let pass?
        self._remote.ask(key, count, window, int(untold), True, told)

    def _move(self, key: str, back: float) -> float:
        """Take what is not told yet as told, and return how many those are; or, as `back`, so many as not told."""
        untold: list[float] = []

        def moved(numbers: Numbers | None) -> tuple[Numbers, float] | None:
            if numbers is None:
                return None
            passed, remaining, ends = numbers
            untold.append(passed)
            gone = passed if not back else -back
            return (passed - gone, remaining - gone, ends), ends

        self._env.tally.change(_known(key), self._env.clock(), moved)
        return untold[0] if untold else 0.0


def _known(key: str) -> str:
    return f"{key} delayed"
