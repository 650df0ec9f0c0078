"""The entries of splices in the kernel's maps: slots given out, written in the order that loses nothing, taken away.

A slot's generation rises with each use, so whatever still names an earlier use finds nothing.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from ctypes import c_uint32, sizeof
from dataclasses import dataclass

from userspace.node import abi, bpf, splice_plan
from userspace.node.abi import Direction
from userspace.node.maps import Table
from userspace.node.splice_abi import Answer, Flag, Kind, Splice, SpliceEnd, State
from userspace.node.splice_plan import Tunnel
from userspace.node.tcp_leg import Leg

NAMES = (
    "splices",
    "splice_ends",
    "answers",
    "splice_counts",
    "splice_epochs",
    "guard_key",
    "guard_paths",
    "guard_headers",
    "guard_states",
)
BLOCK = 256  # slots read at once by a sweep


@dataclass(frozen=True, slots=True)
class Session:
    """The FNAT session that a splice takes over: both keys and values, to put back if nothing comes of it."""

    key: bytes
    forward: bytes
    reply: bytes

    @property
    def tunnel(self) -> Tunnel:
        session = abi.Session.from_buffer_copy(self.forward)
        unique_ip = abi.Flow.from_buffer_copy(self.key).daddr
        return Tunnel(unique_ip, session.peer, session.tunnel_sport)


class SpliceTable:
    """`tables`: those of a gateway whose datapath has splices."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._splices, self._ends, self._answers = tables["splices"], tables["splice_ends"], tables["answers"]
        self._sessions, self._endpoints = tables["sessions"], tables["endpoints"]
        self.size = self._splices.shape.max_entries - 1
        self._generation: dict[int, int] = {}
        self._free: deque[int] = deque()
        for id, splice in self._stored():
            self._generation[id] = splice.generation
            if splice.state == State.FREE:
                self._free.append(id)

    def living(self) -> list[tuple[int, Splice]]:
        """Return what an earlier node left."""
        return [(id, splice) for id, splice in self._stored() if splice.state != State.FREE]

    def take(self) -> tuple[int, int] | None:
        """Return a free slot and its new generation, or None."""
        if not self._free:
            return None
        id = self._free.popleft()
        self._generation[id] = generation = self._generation[id] + 1 & 0xFFFFFFFF or 1
        return id, generation

    def give_back(self, id: int) -> None:
        """Free a slot that nothing was written to."""
        self._free.append(id)

    def session_of(self, endpoint: Leg) -> Session | None:
        """Return the session of a leg to a unique IP. Raises LookupError when it has none that is whole."""
        if self._endpoints.get(abi.addr(endpoint.peer[0])) is None:
            return None
        key = bytes(splice_plan.leaving(endpoint))
        forward = self._sessions.get(key)
        reply = self._sessions.get(forward[: len(key)]) if forward else None
        if forward is None or reply is None:
            raise LookupError("no session")
        return Session(key, forward, reply)

    def write(self, id: int, splice: Splice, session: Session | None) -> None:
        """Make it so, the client's end last: that commits. Raises OSError with nothing of it left."""
        try:
            if splice.kind == Kind.GUARDED:
                self._answers.put(c_uint32(id), Answer())
            self.put(id, splice)
            if session is None:
                self._ends.put(*splice_plan.end_of(id, splice, 1))
            else:
                taken = abi.Session.from_buffer_copy(session.reply)
                taken.direction, taken.target, taken.target_generation = Direction.SPLICED, id, splice.generation
                self._sessions.put(splice.from_[1], taken)
                self._sessions.delete(session.key)
            self._ends.put(*splice_plan.end_of(id, splice, 0))
        except OSError:
            self.undo(id, splice, session)
            raise

    def undo(self, id: int, splice: Splice, session: Session | None) -> None:
        """Take back what was written, so that both sockets are what they were."""
        self.remove(id, splice)
        if session is not None:
            self._sessions.put(bytes(splice.from_[1]), session.reply)
            self._sessions.put(session.key, session.forward)

    def put(self, id: int, splice: Splice) -> None:
        self._splices.put(c_uint32(id), splice)

    def get(self, id: int) -> Splice:
        raw = self._splices.get(c_uint32(id))
        return Splice.from_buffer_copy(raw) if raw else Splice()

    def said(self, id: int, splice: Splice) -> bytes:
        """Return how the last answer begins, as far as it was kept; see answer_end.py."""
        return (self._answers.get(c_uint32(id)) or b"")[: splice.said_len]

    def detach(self, id: int, splice: Splice) -> None:
        """Take the ends away: from here on their packets are the stack's, or nobody's."""
        for way, flow in enumerate(splice.from_):
            if way == 1 and splice.flags & Flag.VPC:
                raw = self._sessions.get(flow)
                session = abi.Session.from_buffer_copy(raw) if raw else abi.Session()
                mine = (Direction.SPLICED, id, splice.generation)
                if (session.direction, session.target, session.target_generation) == mine:
                    self._sessions.delete(bytes(flow))
            elif self._ends.get(flow) == bytes(SpliceEnd(id=id, generation=splice.generation, direction=way)):
                self._ends.delete(bytes(flow))

    def remove(self, id: int, splice: Splice) -> Splice:
        """Take it away whole, and return what it was. What it has counted stays until the slot is used again, for who
        writes the access log; `logged` with it where its end has still to be told."""
        self.detach(id, splice)
        left = self.get(id)
        if left.generation != splice.generation:
            left = Splice(generation=splice.generation)
        freed = Splice.from_buffer_copy(left)
        freed.state = State.FREE
        if left.state == State.CLOSED:  # the datapath has told it
            freed.logged = 0
        self.put(id, freed)
        if splice.kind == Kind.GUARDED:
            self._answers.delete(c_uint32(id))
        self._free.append(id)
        return left

    def block(self, number: int) -> Iterator[tuple[int, Splice]]:
        """Yield BLOCK slots and what is in them."""
        first = max(number * BLOCK, 1)
        raw, count = bpf.array_slice(
            self._splices.fd, first, min((number + 1) * BLOCK, self.size + 1) - first, self._splices.shape.value_size
        )
        for at in range(count):
            yield first + at, Splice.from_buffer_copy(raw, at * self._splices.shape.value_size)

    def orphans(self) -> int:
        """Delete what names splices that are not there; return how many entries that were."""
        living = self.living()
        wanted = {(id, splice.generation) for id, splice in living}
        guarded = {bytes(c_uint32(id)) for id, splice in living if splice.kind == Kind.GUARDED}
        kept = b"".join(keys for keys, _, _ in self._answers.chunks())
        stale = {kept[at : at + 4] for at in range(0, len(kept), 4)} - guarded
        removed = sum(self._answers.delete(key) for key in stale)
        for key, raw in self._ends.items():
            end = SpliceEnd.from_buffer_copy(raw)
            if (end.id, end.generation) not in wanted:
                removed += self._ends.delete(key)
        for key, raw in self._sessions.items():
            session = abi.Session.from_buffer_copy(raw)
            is_ours = session.direction == Direction.SPLICED
            if is_ours and (session.target, session.target_generation) not in wanted:
                removed += self._sessions.delete(key)
        return removed

    def _stored(self) -> Iterator[tuple[int, Splice]]:
        assert self._splices.shape.value_size == sizeof(Splice)
        for number in range(self.size // BLOCK + 1):
            yield from self.block(number)
