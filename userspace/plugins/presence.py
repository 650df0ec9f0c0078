"""Who is here at the same time: counted in the memory of this machine, or in Redis, for all gateways."""

import os
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from userspace.plugins.count_scripts import ENTER, LEAVE
from userspace.plugins.counting import Answer, Servers, bounded
from userspace.plugins.env import Env
from userspace.plugins.outcome import Answered, Asked, Outcome
from userspace.tally import Numbers

LONGEST: Final = 3600
"""Seconds without news of a key after which its count is forgotten, with what a worker took along when it died."""

Then = Callable[[float | None], Outcome]
"""What is decided by how many are here, with this one; None: nobody could say."""


class Place(NamedTuple):
    """One that a request has taken. `name`: of the request, in Redis."""

    key: str
    name: str = ""


class Places:
    """What one request has taken, and the seconds that it had to wait for it. `is_over`: it is gone, so what it still
    gets is to be given back."""

    __slots__ = ("delay", "is_over", "taken")

    def __init__(self) -> None:
        self.taken: list[Place] = []
        self.delay = 0.0
        self.is_over = False


class Presence(Protocol):
    """Lets a request in under `key` unless `most` are there, and out again."""

    def enter(self, places: Places, key: str, most: float, then: Then) -> Outcome: ...

    def leave(self, places: Places) -> None:
        """The request is over: it gives back what it has taken, and what it is still waiting for."""


class LocalPresence:
    __slots__ = ("_env",)

    def __init__(self, env: Env) -> None:
        self._env = env

    def enter(self, places: Places, key: str, most: float, then: Then) -> Outcome:
        now = self._env.clock()
        found: list[float] = []

        def one_more(numbers: Numbers | None) -> tuple[Numbers, float]:
            count = numbers[0] + 1 if numbers is not None else 1.0
            found.append(count)
            return (min(count, most), 0.0, 0.0), now + LONGEST

        self._env.tally.change(key, now, one_more)
        if found[0] <= most:
            places.taken.append(Place(key))
        return then(found[0])

    def leave(self, places: Places) -> None:
        now = self._env.clock()

        def one_less(numbers: Numbers | None) -> tuple[Numbers, float] | None:
            if numbers is None or numbers[0] <= 1:
                return None
            return (numbers[0] - 1, 0.0, 0.0), now + LONGEST

        for place in places.taken:
            self._env.tally.change(place.key, now, one_less)
        places.taken.clear()


class RemotePresence:
    """In Redis each request has a name, and is forgotten after `seconds` if nobody says that it left."""

    __slots__ = ("_count", "_env", "_mark", "_seconds", "_servers")

    def __init__(self, env: Env, servers: Servers, seconds: int) -> None:
        self._env = env
        self._servers = servers
        self._seconds = seconds
        self._mark = os.urandom(8).hex()
        self._count = 0

    def enter(self, places: Places, key: str, most: float, then: Then) -> Outcome:
        self._count += 1
        place = Place(bounded(key), f"{self._mark}-{self._count}")

        def begin(answered: Answered) -> None:
            def told(answer: Answer) -> None:
                # Without an answer it may have been let in all the same.
                if answer is None or answer[0]:
                    places.taken.append(place)
                if places.is_over:
                    self.leave(places)
                answered(answer)

            counts = self._env.counts
            if counts is None:
                answered(None)
            else:
                counts.ask(self._servers, ENTER, place.key, (f"{most:.17g}", str(self._seconds), place.name), told)

        return Asked(begin, lambda answer: then(None if answer is None else float(answer[1])))

    def leave(self, places: Places) -> None:
        places.is_over = True
        counts = self._env.counts
        if counts is not None:
            for key, name in places.taken:
                counts.ask(self._servers, LEAVE, key, (name,), _nothing)
        places.taken.clear()


def _nothing(answer: Answer) -> None:
    pass
