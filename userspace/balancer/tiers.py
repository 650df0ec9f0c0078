"""Pickers made of pickers: priorities, and zones with spill-over."""

from collections.abc import Iterator, Sequence, Set
from zlib import crc32

from control.model.upstream import Endpoint
from userspace.balancer.picker import NONE, Picker

_SALT = 0x7A6F6E65  # so that who spills over is another question than whose point comes next


class Priorities(Picker):
    """The endpoints of a lower priority come when all of higher ones were tried, or are down."""

    __slots__ = ("_tiers", "wants_feedback", "wants_key")

    def __init__(self, tiers: Sequence[Picker]) -> None:
        """`tiers`: the highest priority first."""
        self._tiers = tiers
        self.wants_key = tiers[0].wants_key
        self.wants_feedback = tiers[0].wants_feedback

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        for tier in self._tiers:
            endpoint = tier.pick(tried, key)
            if endpoint is not None:
                return endpoint
        return None

    def began(self, endpoint: Endpoint) -> None:
        self._tiers[0].began(endpoint)  # loads are the upstream's: any tier knows them

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        self._tiers[0].ended(endpoint, seconds)

    def leaves(self) -> Iterator[Picker]:
        for tier in self._tiers:
            yield from tier.leaves()


class Zones(Picker):
    """`share` of the requests goes to `near`, the endpoints of the node's own zone; the rest spills over to `far`. What
    one of them can not serve the other does.

    A key always goes the same way at the same share; at a smaller one, only more keys spill over.
    """

    __slots__ = ("_due", "_far", "_near", "_share", "wants_feedback", "wants_key")

    def __init__(self, near: Picker, far: Picker, share: float) -> None:
        self._near = near
        self._far = far
        self._share = share
        self._due = 0.0
        self.wants_key = near.wants_key
        self.wants_feedback = near.wants_feedback

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        first, second = (self._near, self._far) if self._stays(key) else (self._far, self._near)
        return first.pick(tried, key) or second.pick(tried, key)

    def began(self, endpoint: Endpoint) -> None:
        self._near.began(endpoint)

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        self._near.ended(endpoint, seconds)

    def leaves(self) -> Iterator[Picker]:
        yield from self._near.leaves()
        yield from self._far.leaves()

    def _stays(self, key: str) -> bool:
        share = self._share
        if share >= 1:
            return True
        if self.wants_key:
            return crc32(key.encode("utf-8", "surrogateescape"), _SALT) < share * 2**32
        self._due += share
        if self._due < 1:
            return False
        self._due -= 1
        return True


def near_share(up: int, all: int, spill_over: int) -> float:
    """Return the share of requests that stays in the own zone, of whose weight `all` the part `up` is up: all of them
    down to `spill_over` percent, below that ever fewer."""
    if not up:
        return 0.0
    return 1.0 if not spill_over else min(1.0, up * 100 / (all * spill_over))
