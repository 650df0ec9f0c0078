"""Weighted round robin: endpoints in proportion to their weights, the heavy ones spread out."""

from collections.abc import Mapping, Sequence, Set
from heapq import heapify, heapreplace
from math import gcd
from typing import Final

from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE, Member, Picker

MAX_CYCLE: Final = 1024  # picks of one round that are remembered; longer rounds are worked out pick by pick
STEPS: Final = 100  # of a weight, while somebody warms up

Phases = Mapping[Endpoint, float]
"""How far each is from its next turn, 0 to 1 of what lies between two of its turns."""


class RoundRobin(Picker):
    """A round is as many picks as the reduced weights sum to, and each repeats the first. A short one is nginx's smooth
    sequence; of a long one it is always whose turn is due first, (turns had + 1/2) / weight, from a heap.

    Same members and `start`, same picks, everywhere; different workers give different `start`s, lest all begin with the
    first endpoint. `phases`: of a predecessor, for a ramp whose pickers live too short to see a round.
    """

    __slots__ = ("_current", "_cycle", "_due", "_endpoints", "_position", "_total", "_weights")

    def __init__(self, members: Sequence[Member], start: int = 0, phases: Phases | None = None) -> None:
        turn = start % len(members)
        turned = [*members[turn:], *members[:turn]]
        is_warming = any(member.share < 1 for member in members)
        weights = [max(1, round(m.weight * STEPS * m.share)) if is_warming else m.weight for m in turned]
        divisor = gcd(*weights)
        self._endpoints = [member.endpoint for member in turned]
        self._weights = [weight // divisor for weight in weights]
        self._total = sum(self._weights)
        self._position = 0
        self._current = [0] * len(weights)
        # With equal weights the first round is known beforehand; else it is worked out as it goes.
        self._cycle = list(self._endpoints) if self._total == len(weights) and not is_warming else []
        self._due: list[tuple[float, int]] = []
        if self._total > MAX_CYCLE or is_warming:
            phases = phases or {}
            at = enumerate(zip(self._endpoints, self._weights, strict=True))
            self._due = [(phases.get(endpoint, 0.5) / weight, index) for index, (endpoint, weight) in at]
            heapify(self._due)

    @property
    def phases(self) -> Phases:
        """For a successor: nobody's but while somebody warms up."""
        now = self._due[0][0] if self._due else 0
        return {self._endpoints[index]: (due - now) * self._weights[index] for due, index in self._due}

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        """The next of the round; a retry falls back to the first after it, in order, that was not tried."""
        endpoint = self._next()
        if not tried or endpoint not in tried:
            return endpoint
        turn = self._endpoints.index(endpoint) + 1
        for candidate in self._endpoints[turn:] + self._endpoints[:turn]:
            if candidate not in tried:
                return candidate
        return None

    def _next(self) -> Endpoint:
        position = self._position
        cycle = self._cycle
        if position < len(cycle):
            self._position = position + 1 if position + 1 < self._total else 0
            return cycle[position]
        if self._due:
            due, index = self._due[0]
            heapreplace(self._due, (due + 1 / self._weights[index], index))
            return self._endpoints[index]
        endpoint = self._step()
        cycle.append(endpoint)
        self._position = position + 1 if position + 1 < self._total else 0
        return endpoint

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
