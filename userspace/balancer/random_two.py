"""Random of two: of two endpoints drawn at random, by weight, the one with the least (tries under way) / weight.

nginx's `random two least_conn`: nearly as even as least_conn, and free of its herd: workers that see one endpoint idle
do not all run to it. With nothing under way the first of the two counts: shares are those of the weights.
"""

from bisect import bisect_right
from collections.abc import Sequence, Set
from itertools import accumulate
from random import Random
from typing import Final

from control.model.upstream import Endpoint
from userspace.balancer.load import Load, Loads
from userspace.balancer.picker import NONE, Member, Picker

DRAWS: Final = 4  # for a second endpoint that is not the first, before the next in order is taken

_Known = tuple[Endpoint, Load, float]


class RandomTwo(Picker):
    """`seed`: what is drawn follows from it alone."""

    __slots__ = ("_known", "_loads", "_random", "_sums")

    wants_feedback = True

    def __init__(self, members: Sequence[Member], loads: Loads, seed: int = 0) -> None:
        self._loads = loads
        self._random = Random(seed).random
        self._known: list[_Known] = [(m.endpoint, loads.of(m.endpoint), m.weight * m.share) for m in members]
        self._sums = list(accumulate(weight for _, _, weight in self._known))

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        known, sums = self._known, self._sums
        if tried:
            known = [each for each in known if each[0] not in tried]
            sums = list(accumulate(weight for _, _, weight in known))
        if len(known) < 2:
            return known[0][0] if known else None
        draw, total, last = self._random, sums[-1], len(known) - 1
        first = second = min(bisect_right(sums, draw() * total), last)
        for _ in range(DRAWS):
            second = min(bisect_right(sums, draw() * total), last)
            if second != first:
                break
        else:
            second = first + 1 if first < last else 0
        one, load, weight = known[first]
        other, other_load, other_weight = known[second]
        return one if load.under_way * other_weight <= other_load.under_way * weight else other

    def began(self, endpoint: Endpoint) -> None:
        self._loads.of(endpoint).under_way += 1

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        self._loads.of(endpoint).under_way -= 1
