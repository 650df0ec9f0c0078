"""Smooth weighted round robin: endpoints in proportion to their weights, the heavy ones spread out."""

from collections.abc import Mapping, Sequence, Set
from math import gcd
from typing import Final

from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE, Member, Picker

MAX_CYCLE: Final = 1024  # picks of one round that are remembered; longer rounds are computed at each pick
STEPS: Final = 100  # of a weight, while somebody warms up

Credits = Mapping[Endpoint, float]


class RoundRobin(Picker):
    """A round is as many picks as the reduced weights sum to; each repeats the first.

    Same members and `start`, same picks, everywhere; different workers give different `start`s, lest all begin with the
    first endpoint. `credits`: of a predecessor whose shares were others, who is due next.
    """

    __slots__ = ("_current", "_cycle", "_endpoints", "_position", "_remembers", "_total", "_weights")

    def __init__(self, members: Sequence[Member], start: int = 0, credits: Credits | None = None) -> None:
        turn = start % len(members)
        turned = [*members[turn:], *members[:turn]]
        is_warming = any(member.share < 1 for member in members)
        weights = [max(1, round(m.weight * STEPS * m.share)) if is_warming else m.weight for m in turned]
        divisor = gcd(*weights)
        self._endpoints = [member.endpoint for member in turned]
        self._weights = [weight // divisor for weight in weights]
        self._total = sum(self._weights)
        self._current: list[float] = [0] * len(weights)
        self._position = 0
        # Rounds that will soon be others are not worth remembering; who is due next then is.
        self._remembers = self._total <= MAX_CYCLE and not is_warming
        # With equal weights the first round is known beforehand; else it is worked out as it goes.
        self._cycle = list(self._endpoints) if self._total == len(weights) and self._remembers else []
        if credits and is_warming:
            self._current = [credits.get(endpoint, 0) * self._total for endpoint in self._endpoints]

    @property
    def credits(self) -> Credits:
        """Who is due next, for a successor."""
        return {end: now / self._total for end, now in zip(self._endpoints, self._current, strict=True)}

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
        endpoint = self._step()
        if self._remembers:
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
