"""Splices: made on a worker's request, watched, handed back, ended. One per gateway, on the node's event loop.

What the kernel has lives on without us. What only we have is a socket or two per splice: the client's until it has
the tail, and the endpoint's as a lease of its addresses.
"""

import asyncio
import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress

from userspace.node import handing_back, splice_adoption, tcp_leg
from userspace.node.handing_over import HandingOver, Refused, is_tail_written
from userspace.node.ring import Ring
from userspace.node.splice_abi import Back, EventType, Flag, Splice, SpliceEvent, State
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_ageing import Fate, SpliceLimits, fate
from userspace.node.splice_guard import SpliceGuard
from userspace.node.splice_held import Held
from userspace.node.splice_table import BLOCK, SpliceTable
from userspace.node.splice_wire import Covered, Malformed, SpliceRequest, SpliceWire, pair, parse
from userspace.obs import durations

log = logging.getLogger("unilb.splices")

SWEEP_EVERY = 1.0  # seconds; spread over them, so that no hand-over waits for more than a block
EVENTS_AT_ONCE = 64  # of the ring; other work comes in between
_WHY = {int(why): why.name.lower() for why in Back}

# Tells both ends of a splice that it has ended, the client only if asked to; see resets.py.
Tell = Callable[[Splice, bool], None]
# Takes (id, splice, why) of a logged one that the node has ended: the datapath has told of no end.
OnEnd = Callable[[int, Splice, str], None]


class Splicing:
    """made, refused, back, ended: how often, by kind or reason. states: splices by (state, kind), at the last sweep.
    back_took: from the kernel's word until the socket is ready for its worker. on_end: set it before `start`."""

    def __init__(
        self,
        table: SpliceTable,
        guard: SpliceGuard,
        over: HandingOver,
        accounts: SpliceAccounts,
        events: Ring,
        tell: Tell,
        limits: SpliceLimits,
    ) -> None:
        self._table = table
        self.guard = guard
        self.accounts = accounts
        self._over = over
        self._ring = events
        self._tell = tell
        self._limits = limits
        self.on_end: OnEnd | None = None
        self._held: dict[int, Held] = {}
        self._waiting = deque[SpliceEvent]()  # at most one of each splice that is on its way back, and one of its tail
        self._came: list[tuple[Held, Splice]] = []  # in this turn, and still in the maps
        self._turn: asyncio.Handle | None = None  # the next one of those that wait
        self._wires: dict[str, SpliceWire] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.made = Counter[str]()
        self.refused = Counter[str]()
        self.back = Counter[str]()
        self.back_took = durations.new()
        self.ended = Counter[str]()
        self.states = Counter[tuple[str, str]]()
        self.adopted = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        return self._table.size

    @property
    def epoch(self) -> int:
        return self.guard.epoch

    def lookup(self, id: int) -> tuple[Splice, bytes]:
        """Return what the kernel has of a splice, or has kept of one that ended, and how its last answer begins."""
        splice = self._table.get(id)
        return splice, self._table.said(id, splice)

    def in_use(self, account: int) -> bool:
        return any(held.account == account for held in self._held.values())

    def start(self) -> None:
        """Adopt what is there and begin to listen; from the event loop."""
        for held, reason in splice_adoption.adopt(self._table, self.accounts):
            self._held[held.id] = held
            if reason:
                self._reset(held, reason)
        self.adopted = len(self._held)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._ring.fd, self._events)
        self._events()
        self._tasks.append(asyncio.create_task(self._sweep()))

    def close(self) -> None:
        """Let go: splices stay in the kernel. A client that has not acknowledged the tail keeps its connection to its
        end, with a FIN behind the tail: nobody would be there to retire its socket."""
        for task in self._tasks:
            task.cancel()
        if self._turn is not None:
            self._turn.cancel()
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._ring.fd)
        for held in list(self._held.values()):
            if held.client is not None:
                self._finish(held)
        for held in self._held.values():
            held.release()
        for wire in list(self._wires.values()):
            wire.close()
        self._over.close()
        fd = self._ring.fd
        self._ring.close()
        os.close(fd)

    def worker(self, name: str) -> socket.socket:
        """Return a new worker's end of its wire; the one before is closed."""
        before = self._wires.pop(name, None)
        if before is not None:
            before.close()
        ours, theirs = pair()
        self._wires[name] = SpliceWire(
            ours, lambda wire, data, fds: self._asked(name, wire, data, fds), lambda wire: self._gone(name, wire)
        )
        return theirs

    def _asked(self, name: str, wire: SpliceWire, data: bytes, fds: list[int]) -> None:
        socks = [socket.socket(fileno=fd) for fd in fds]
        try:
            asked = parse(data)
            if isinstance(asked, Covered):
                self.guard.cover(asked.decision, asked.path)
            elif len(socks) != 2:
                raise Malformed("a splice takes two sockets", asked.tag)
            else:
                self._splice(name, wire, asked, socks)
        except Malformed as error:
            self.refused["malformed"] += 1
            log.warning("worker %s: %s", name, error)
            if error.tag is not None:
                wire.send({"type": "refused", "tag": error.tag, "reason": "malformed"})
        finally:
            for sock in socks:
                sock.close()

    def _splice(self, name: str, wire: SpliceWire, asked: SpliceRequest, socks: list[socket.socket]) -> None:
        try:
            held = self._over.splice(name, asked, *socks)
        except Refused as error:
            self.refused[str(error)] += 1
            if error.__cause__ is not None:
                log.warning("splice for worker %s: %s", name, error.__cause__)
            wire.send({"type": "refused", "tag": asked.tag, "reason": str(error)})
            return
        socks.clear()
        self._held[held.id] = held
        self.made[held.kind.name.lower()] += 1
        if asked.tail == 0 and self._table.get(held.id).state == State.ACTIVE:
            held.forget_client()
        if not wire.send({"type": "spliced", "tag": asked.tag, "id": held.id}) and held.client is not None:
            self._reset(held, "worker")  # nobody will write the tail

    def _gone(self, name: str, wire: SpliceWire) -> None:
        """A worker's wire has ended: tails that it has not written will never be."""
        if self._wires.get(name) is wire:
            del self._wires[name]
        for held in list(self._held.values()):
            if held.worker == name and held.client is not None and not is_tail_written(held):
                self._reset(held, "worker")

    def _events(self) -> None:
        """All that the ring has is read at once: its room is for what comes next."""
        for record in self._ring.read():
            event = handing_back.event_of(record)
            if event.type == EventType.BACK and len(self._waiting) >= EVENTS_AT_ONCE:
                handing_back.hold_longer(self._table, event, time.monotonic_ns())
            self._waiting.append(event)
        if self._turn is None:
            self._take_turn()

    def _take_turn(self) -> None:
        self._turn = None
        try:
            for _ in range(min(EVENTS_AT_ONCE, len(self._waiting))):
                self._event(self._waiting.popleft())
        finally:
            self._let_go()
        if self._waiting:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _let_go(self) -> None:
        """Tell the endpoints of what has come back. Clients wait for their workers, nobody for this."""
        came, self._came = self._came, []
        for held, splice in came:
            self._tell(splice, False)
            self._drop(held, splice, "back")

    def _event(self, event: SpliceEvent) -> None:
        held = self._held.get(event.id)
        if held is None or held.generation != event.generation:
            return
        if event.type == EventType.TAIL:
            held.forget_client()
        elif event.type == EventType.BACK:
            self._hand_back(held, event)

    def _hand_back(self, held: Held, event: SpliceEvent) -> None:
        splice = self._table.get(held.id)
        if splice.state != State.BACK or splice.generation != held.generation:
            return
        held.forget_client()
        # A FIN of the client's own stands behind what was held of it: it is repeated, to the rebuilt socket then.
        if splice.flags & (Flag.FIN_DOWN | Flag.RESET):
            self._reset(held, "closing")
            return
        now_ns = time.monotonic_ns()
        if not handing_back.is_settled(splice, self._table.said(held.id, splice), now_ns):
            self.back["unsettled"] += 1
            handing_back.hold_on(self._table, held.id, splice, now_ns)
            return
        wire = self._worker_for(held)
        if wire is None:
            self._reset(held, "no_worker")
            return
        try:
            sock = handing_back.rebuilt(self._table, held.id, splice, event)
        except OSError as error:
            log.warning("splice %d does not come back: %s", held.id, error)
            self._reset(held, "rebuild")
            return
        try:
            address = self._over.restore_client(sock, held.address)
        except OSError:  # it was given life, and met a reset at once: the client is gone
            sock.close()
            self._reset(held, "gone")
            return
        why = _WHY.get(event.why, "none")
        message = handing_back.message_of(held, address, why, event)
        if event.at_ns:  # before it is sent: who wakes the worker may wait for it
            durations.observe(self.back_took, (time.monotonic_ns() - event.at_ns) / 1e9)
        if wire.send(message, (sock.fileno(),)):
            sock.close()
        else:
            with suppress(OSError):
                tcp_leg.abort(sock)
        self.back[why] += 1
        self._came.append((held, splice))

    def _worker_for(self, held: Held) -> SpliceWire | None:
        """The worker that knows the connection, or any."""
        return self._wires.get(held.worker) or next(iter(self._wires.values()), None)

    async def _sweep(self) -> None:
        while True:
            started = time.monotonic()
            blocks = sorted({id // BLOCK for id in self._held})
            states = Counter[tuple[str, str]]()
            for number in blocks:
                self._sweep_block(number, states)
                await asyncio.sleep(SWEEP_EVERY / len(blocks) / 2)
            self.states = states
            self._events()
            await asyncio.sleep(max(SWEEP_EVERY / 4, started + SWEEP_EVERY - time.monotonic()))

    def _sweep_block(self, number: int, states: Counter[tuple[str, str]]) -> None:
        now_ns = time.monotonic_ns()
        for id, splice in self._table.block(number):
            held = self._held.get(id)
            if held is None:
                continue
            what, why = fate(splice, held.generation, held.client is not None, now_ns, self._limits)
            match what:
                case Fate.KEEP | Fate.COVERED:
                    states[State(splice.state).name.lower(), held.kind.name.lower()] += 1
                    if what is Fate.COVERED:
                        held.forget_client()
                case Fate.RELEASE:
                    self._drop(held, splice, why)
                case Fate.RESET:
                    self._reset(held, why)

    def _reset(self, held: Held, why: str) -> None:
        """End a splice, and tell both ends."""
        splice = self._table.get(held.id)
        self._table.detach(held.id, splice)
        self._tell(splice, held.client is None)
        held.reset_client()
        self._drop(held, splice, why)

    def _finish(self, held: Held) -> None:
        """End a splice whose client has yet to acknowledge the tail: its socket repeats it and ends with a FIN."""
        splice = self._table.get(held.id)
        self._table.detach(held.id, splice)
        self._tell(splice, False)
        client, held.client = held.client, None
        if client is not None:
            with suppress(OSError):
                tcp_leg.unmute(client)
            client.close()
        self._drop(held, splice, "node")

    def _drop(self, held: Held, splice: Splice, why: str) -> None:
        """Take it out of the maps and let go of its sockets: in this order, so that none answers for it."""
        if splice.generation == held.generation:
            was = self._table.remove(held.id, splice)
            if was.logged and was.state not in (State.CLOSED, State.BACK) and self.on_end is not None:
                self.on_end(held.id, was, why)
        else:
            self._table.give_back(held.id)
        held.release()
        self.ended[why] += 1
        del self._held[held.id]
