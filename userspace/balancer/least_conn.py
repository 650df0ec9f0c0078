"""Least connections in APISIX's sense: the endpoint with the least (1 + tries under way) / weight, of this worker."""

from collections.abc import Sequence, Set
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import NamedTuple

from control.model.upstream import Endpoint
from userspace.balancer.load import Load, Loads
from userspace.balancer.picker import NONE, Member, Picker


class _Seat:
    """A member's place in one heap. `turn`: which of its entries counts; `step`: 1 / weight."""

    __slots__ = ("endpoint", "heap", "load", "step", "turn")

    def __init__(self, heap: "LeastConn", endpoint: Endpoint, load: Load, step: float) -> None:
        self.heap = heap
        self.endpoint = endpoint
        self.load = load
        self.step = step
        self.turn = 0

    def lighter(self) -> None:
        """The load fell: the entry stands too far back."""
        self.heap.enter(self)


class _Entry(NamedTuple):
    score: float
    turn: int
    seat: _Seat


class LeastConn(Picker):
    """Among equals, the one whose load changed longest ago comes first.

    A heap. A try that begins leaves the entry of its endpoint, which is put right when it comes up; one that ends adds
    an entry, and the older one is dropped when it comes up.
    """

    __slots__ = ("_heap", "_loads", "_seats", "_turns")

    wants_feedback = True

    def __init__(self, members: Sequence[Member], loads: Loads) -> None:
        self._loads = loads
        self._turns = count(1)
        self._seats = [
            _Seat(self, m.endpoint, loads.of(m.endpoint), 1 / (m.weight * m.share)) for m in members
        ]  # fmt: skip
        for seat in self._seats:
            seat.load.seat = seat
        self._heap: list[_Entry] = []
        self._rebuild()

    def pick(self, tried: Set[Endpoint] = NONE, key: str = "") -> Endpoint | None:
        heap = self._heap
        passed: list[_Entry] = []
        found: Endpoint | None = None
        while heap:
            score, turn, seat = heap[0]
            if turn != seat.turn:
                heappop(heap)
                continue
            now = (1 + seat.load.under_way) * seat.step
            if now != score:
                seat.turn = next(self._turns)
                heapreplace(heap, _Entry(now, seat.turn, seat))
            elif tried and seat.endpoint in tried:
                passed.append(heappop(heap))
            else:
                found = seat.endpoint
                break
        for entry in passed:
            heappush(heap, entry)
        return found

    def began(self, endpoint: Endpoint) -> None:
        self._loads.of(endpoint).under_way += 1

    def ended(self, endpoint: Endpoint, seconds: float | None) -> None:
        load = self._loads.of(endpoint)
        load.under_way -= 1
        if load.seat is not None:
            load.seat.lighter()

    def enter(self, seat: _Seat) -> None:
        """A new entry for `seat`."""
        seat.turn = next(self._turns)
        heappush(self._heap, _Entry((1 + seat.load.under_way) * seat.step, seat.turn, seat))
        if len(self._heap) > 2 * len(self._seats) + 16:
            self._rebuild()

    def _rebuild(self) -> None:
        """One entry for each member."""
        self._heap = []
        for seat in sorted(self._seats, key=lambda seat: seat.turn):
            seat.turn = next(self._turns)
            self._heap.append(_Entry((1 + seat.load.under_way) * seat.step, seat.turn, seat))
        heapify(self._heap)
