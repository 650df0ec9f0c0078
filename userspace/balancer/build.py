"""From an upstream to its Picker: off the request path, whenever its endpoints, their health or their warmth change."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import mode
from typing import Final

from control.model.upstream import Endpoint, Upstream
from userspace.balancer.chash import ConsistentHash
from userspace.balancer.ewma import Ewma
from userspace.balancer.least_conn import LeastConn
from userspace.balancer.load import Loads
from userspace.balancer.picker import NOBODY, NONE, Member, Picker
from userspace.balancer.random_two import RandomTwo
from userspace.balancer.round_robin import Phases, RoundRobin
from userspace.balancer.tiers import Priorities, Zones, near_share


@dataclass(frozen=True, slots=True)
class Here:
    """What differs between workers. `start`: lest all begin alike. `zone`: of the node, "" where it has none. `clock`:
    seconds that only grow; `began`: when the worker did."""

    start: int = 0
    zone: str = ""
    clock: Callable[[], float] = lambda: 0.0
    began: float = 0.0


NOWHERE: Final = Here()
COLD: Final[Mapping[Endpoint, float]] = {}


def build(
    upstream: Upstream,
    here: Here = NOWHERE,
    down: Set[Endpoint] = NONE,
    shares: Mapping[Endpoint, float] = COLD,
    loads: Loads | None = None,
    previous: Picker | None = None,
) -> Picker:
    """Return the picker of `upstream`: of those endpoints that are not `down`, unless it hashes, which skips them.

    `shares`: of endpoints that warm up. `loads`: what is known of the endpoints, kept by the caller from one picker to
    the next. Endpoints of weight 0 are left out while any has a positive weight; if none has, all count the same.
    """
    loads = loads if loads is not None else Loads()
    loads.keep(upstream.endpoints)
    make = _Make(upstream, here, down, loads, previous)
    members = usable(upstream.endpoints, shares)
    if all(member.endpoint in down for member in members):
        # What is drained is better than nothing.
        members = usable([endpoint for endpoint in upstream.endpoints if endpoint not in down], shares)
    tiers = [picker for group in by_priority(members) if (picker := make.tier(group)) is not NOBODY]
    if len(tiers) < 2:
        return tiers[0] if tiers else NOBODY
    return Priorities(tiers)


def ring_with_drained(upstream: Upstream, previous: Picker | None = None) -> Picker | None:
    """Return the ring as it was before some endpoints were drained; None when none is, or all are. What they weighed
    nobody remembers: they count as most of the others do."""
    weights = [endpoint.weight for endpoint in upstream.endpoints if endpoint.weight]
    if len(weights) in (0, len(upstream.endpoints)):
        return None
    usual = mode(weights)
    members = [Member(endpoint, endpoint.weight or usual) for endpoint in upstream.endpoints]
    hashing = replace(upstream, type="chash", spill_over=None)
    make = _Make(hashing, NOWHERE, NONE, Loads(), previous)
    return Priorities([make.tier(group) for group in by_priority(members)])


def usable(endpoints: Sequence[Endpoint], shares: Mapping[Endpoint, float] = COLD) -> list[Member]:
    """Return those that are not drained, as members; when all are, all of them with weight 1."""
    weighted = [Member(e, e.weight, shares.get(e, 1.0)) for e in endpoints if e.weight > 0]
    return weighted or [Member(endpoint, 1) for endpoint in endpoints]


def by_priority(members: Sequence[Member]) -> list[list[Member]]:
    """Return the members by priority, the highest first."""
    groups: dict[int, list[Member]] = {}
    for member in members:
        groups.setdefault(member.endpoint.priority, []).append(member)
    return [groups[priority] for priority in sorted(groups, reverse=True)]


class _Make:
    def __init__(
        self, upstream: Upstream, here: Here, down: Set[Endpoint], loads: Loads, previous: Picker | None
    ) -> None:
        self._type = upstream.type
        self._spill_over = upstream.spill_over
        self._here = here
        self._down = down
        self._loads = loads
        self._leaves = list(previous.leaves()) if previous is not None else []

    def tier(self, members: list[Member]) -> Picker:
        """The picker of one priority."""
        zone = self._here.zone
        if self._spill_over is None or not zone:
            return self._of(members)
        near = [member for member in members if member.endpoint.zone == zone]
        far = [member for member in members if member.endpoint.zone != zone]
        ours, theirs = self._of(near), self._of(far)
        if ours is NOBODY or theirs is NOBODY:
            return theirs if ours is NOBODY else ours
        up = sum(member.weight for member in near if member.endpoint not in self._down)
        return Zones(ours, theirs, near_share(up, sum(member.weight for member in near), self._spill_over))

    def _of(self, members: list[Member]) -> Picker:
        up = [member for member in members if member.endpoint not in self._down]
        if not up:
            return NOBODY
        if self._type == "chash":
            return ConsistentHash(members, self._down, self._ring_of(members))
        if self._type == "least_conn":
            return LeastConn(up, self._loads)
        if self._type == "ewma":
            return Ewma(up, self._loads, self._here.clock, self._here.start)
        if self._type == "random_two":
            return RandomTwo(up, self._loads, self._here.start)
        return RoundRobin(up, self._here.start, self._phases())

    def _ring_of(self, members: list[Member]) -> ConsistentHash | None:
        """A ring of the same members costs much to make, and only `down` is different."""
        rings = (leaf for leaf in self._leaves if isinstance(leaf, ConsistentHash))
        return next((ring for ring in rings if ring.members == members), None)

    def _phases(self) -> Phases:
        return {
            endpoint: phase
            for leaf in self._leaves
            if isinstance(leaf, RoundRobin)
            for endpoint, phase in leaf.phases.items()
        }
