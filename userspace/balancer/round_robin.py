"""Smooth weighted round robin: endpoints in proportion to their weights, the heavy ones spread out."""

from collections.abc import Set
from math import gcd
from typing import Final

from control.model.upstream import Endpoint

MAX_CYCLE: Final = 1024  # picks of one round that are remembered; longer rounds are computed at each pick


class Picker:
    """Chooses an endpoint of one upstream. Made by `build`; its position is one worker's own state."""

    __slots__ = ("_rounds",)

    def __init__(self, rounds: "tuple[_Round, ...]") -> None:
        self._rounds = rounds

    def pick(self, tried: Set[Endpoint] = frozenset()) -> Endpoint | None:
        """Return the next endpoint that is not in `tried`, or None when all were. An endpoint of a lower priority
        comes only when all of higher ones were tried."""
        for group in self._rounds:
            if not tried:
                return group.next()
            endpoint = group.next_untried(tried)
            if endpoint is not None:
                return endpoint
        return None


def build(endpoints: tuple[Endpoint, ...], start: int = 0) -> Picker:
    """Return a Picker. Same endpoints and `start`, same picks, everywhere; different workers give different `start`s,
    lest all begin with the first endpoint.

    Endpoints of weight 0 are left out while any has a positive weight; if none has, all take turns.
    """
    usable = [endpoint for endpoint in endpoints if endpoint.weight > 0] or list(endpoints)
    groups: dict[int, list[Endpoint]] = {}
    for endpoint in usable:
        groups.setdefault(endpoint.priority, []).append(endpoint)
    return Picker(tuple(_Round(groups[priority], start) for priority in sorted(groups, reverse=True)))


class _Round:
    """The endpoints of one priority. A round is as many picks as the reduced weights sum to; each repeats the first."""

    __slots__ = ("_current", "_cycle", "_endpoints", "_position", "_total", "_weights")

    def __init__(self, endpoints: list[Endpoint], start: int) -> None:
        turn = start % len(endpoints)
        self._endpoints = endpoints[turn:] + endpoints[:turn]
        weights = [endpoint.weight or 1 for endpoint in self._endpoints]
        divisor = gcd(*weights)
        self._weights = [weight // divisor for weight in weights]
        self._total = sum(self._weights)
        self._current = [0] * len(weights)
        self._position = 0
        # With equal weights the first round is known beforehand; else it is worked out as it goes.
        self._cycle = list(self._endpoints) if self._total == len(weights) else []

    def next(self) -> Endpoint:
        position = self._position
        cycle = self._cycle
        if position < len(cycle):
            self._position = position + 1 if position + 1 < self._total else 0
            return cycle[position]
        endpoint = self._step()
        if self._total <= MAX_CYCLE:
            cycle.append(endpoint)
            self._position = position + 1 if position + 1 < self._total else 0
        return endpoint

    def next_untried(self, tried: Set[Endpoint]) -> Endpoint | None:
        """A retry goes to the next endpoint of the round; failing that, to the first in order that was not tried."""
        endpoint = self.next()
        if endpoint not in tried:
            return endpoint
        turn = self._endpoints.index(endpoint) + 1
        for candidate in self._endpoints[turn:] + self._endpoints[:turn]:
            if candidate not in tried:
                return candidate
        return None

    def _step(self) -> Endpoint:
        """nginx's step: everyone gains its weight, the richest is picked and pays the total."""
        current = self._current
        best = 0
        for index, weight in enumerate(self._weights):
            current[index] += weight
            if current[index] > current[best]:
                best = index
        current[best] -= self._total
        return self._endpoints[best]
