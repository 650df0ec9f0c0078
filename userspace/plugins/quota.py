"""Windows in which requests are counted: in the memory of this machine, or in Redis, where all gateways count."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from userspace.plugins.count_scripts import FIXED, SLIDING
from userspace.plugins.counting import Answer, Servers, bounded
from userspace.plugins.env import Env
from userspace.plugins.outcome import Answered, Asked, Outcome
from userspace.tally import Numbers


class Quota(NamedTuple):
    """What is left of one window: `reset` in seconds from now. Below nothing: the request is one too many."""

    limit: float
    remaining: float
    reset: float


Then = Callable[[Quota | None], Outcome]
"""What is decided by a quota; None: nobody could say."""


class Windows(Protocol):
    """Counts one request under `key`, `count` of which fit into `window` seconds; returns what `then` makes of it."""

    def take(self, key: str, count: float, window: float, then: Then) -> Outcome: ...

    def close(self) -> None:
        """Nobody counts here any more."""


class LocalWindows:
    __slots__ = ("_env", "_is_sliding")

    def __init__(self, env: Env, is_sliding: bool) -> None:
        self._env = env
        self._is_sliding = is_sliding

    def take(self, key: str, count: float, window: float, then: Then) -> Outcome:
        now = self._env.clock()
        if self._is_sliding:
            return then(_slide(self._env, key, count, window, now))
        left: list[float] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
            used, ends = (numbers[0] + 1, numbers[1]) if numbers is not None else (1.0, now + window)
            left[:] = used, ends
            return (used, ends, 0.0), ends

        self._env.tally.change(key, now, one_more)
        used, ends = left
        return then(Quota(count, count - used, -int(-(ends - now) // 1)))

    def close(self) -> None:
        pass


class RemoteWindows:
    """In Redis. `reset` is in hundredths, as APISIX has it there."""

    __slots__ = ("_env", "_servers", "is_sliding")

    def __init__(self, env: Env, servers: Servers, is_sliding: bool) -> None:
        self._env = env
        self._servers = servers
        self.is_sliding = is_sliding

    def take(self, key: str, count: float, window: float, then: Then) -> Outcome:
        def begin(answered: Answered) -> None:
            self.ask(key, count, window, 1, False, answered)

        return Asked(begin, then)

    def ask(
        self, key: str, count: float, window: float, cost: int, is_taken: bool, told: Callable[[Quota | None], None]
    ) -> None:
        """Count `cost` requests and tell what is left. `is_taken`: they were let pass, so they count in any case."""
        counts = self._env.counts
        if counts is None:
            told(None)
            return
        if self.is_sliding:
            script, condition = SLIDING, "anyway" if is_taken else "if"
            arguments: tuple[str, ...] = str(cost), f"{count:.17g}", f"{window:.17g}", condition
        else:
            script, arguments = FIXED, (str(cost), f"{window * 1000:.0f}")
        counts.ask(
            self._servers, script, bounded(key), arguments, lambda answer: told(self._quota(answer, count, window))
        )

    def _quota(self, answer: Answer, count: float, window: float) -> Quota | None:
        if answer is None:
            return None
        if self.is_sliding:
            left = float(answer[1]) // 1
            return Quota(count, max(left, 0.0) if answer[0] else left, _hundredths(min(float(answer[2]), window)))
        return Quota(count, count - int(answer[0]), _hundredths(int(answer[1]) / 1000))

    def close(self) -> None:
        pass


def _hundredths(seconds: float) -> float:
    return seconds * 100 // 1 / 100


def _slide(env: Env, key: str, count: float, window: float, now: float) -> Quota:
    """The window slides: of the fixed window before this one that share counts which it still covers. A request that is
    refused is not counted."""
    found: list[float] = []

    def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
        number = now // window
        before, used, last = numbers if numbers is not None else (0.0, 0.0, number)
        if last != number:
            before, used = (used, 0.0) if last == number - 1 else (0.0, 0.0)
        left = window - now % window
        rate = min(before, count) / window
        taken = rate * left + used
        if taken < count:
            used += 1
            found[:] = max(count - taken - 1, 0.0), left
        else:
            found[:] = -1, left if used >= count else max(left - (count - used) / rate, 0.0)
        return (before, used, number), (number + 2) * window

    env.tally.change(key, now, one_more)
    return Quota(count, found[0] // 1, -int(-found[1] // 1))
