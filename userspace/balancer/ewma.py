"""Peak EWMA in APISIX's sense: of two endpoints drawn at random, the one with the lower moving average of latency.

Weights do not count beyond 0: latency says what they would. An endpoint of which nothing is known has the average 0, so
it is tried at once; while it warms up it is passed over as often as its share asks for.
"""

from collections.abc import Callable, Sequence, Set
from random import Random

from control.model.upstream import Endpoint
from userspace.balancer.load import Load, Loads
from userspace.balancer.picker import NONE, Member, Picker

_Known = tuple[Endpoint, Load, float]


class Ewma(Picker):
    """`clock`: seconds that only grow. `seed`: what is drawn follows from it alone."""

    __slots__ = ("_clock", "_known", "_loads", "_random")

    wants_feedback = True

    def __init__(self, members: Sequence[Member], loads: Loads, clock: Callable[[], float], seed: int = 0) -> None:
        self._loads = loads
        self._clock = clock
        self._random = Random(seed).random
        self._known: list[_Known] = [(m.endpoint, loads.of(m.endpoint), m.share) for m in members]

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        known = self._known
        if tried:
            known = [each for each in known if each[0] not in tried]
        count = len(known)
        if count < 2:
            return known[0][0] if known else None
        draw = self._random
        first = int(draw() * count)
        second = int(draw() * (count - 1))
        if second >= first:
            second += 1
        one, load, share = known[first]
        other, other_load, other_share = known[second]
        if share < 1 and draw() >= share:
            return other
        if other_share < 1 and draw() >= other_share:
            return one
        now = self._clock()
        return other if load.latency(now) > other_load.latency(now) else one

    def began(self, endpoint: Endpoint) -> None:
        self._loads.of(endpoint).under_way += 1

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        load = self._loads.of(endpoint)
        load.under_way -= 1
        if seconds is not None:
            load.measured(seconds, self._clock())
