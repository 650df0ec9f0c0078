"""Hand-back: a splice becomes a client's socket again, with what the client has just sent in it.

Until the rebuilt socket is there the splice holds back the client's packets; then its ends go, and the next packet
finds the socket. What is left of the endpoint's connection is reset.
"""

import socket
import time
from ctypes import sizeof

from userspace.node import abi, answer_end, tcp_rebuild
from userspace.node.splice_abi import Flag, Splice, SpliceEvent, State
from userspace.node.splice_held import Held
from userspace.node.splice_table import SpliceTable
from userspace.node.tcp_rebuild import Restart
from userspace.wire import Message

_U32 = 0xFFFFFFFF
IN_TURN_NS = 5_000_000_000
"""How long a client is held back whose splice waits for its turn: some ten thousand of them come back in that time."""

AGAIN_NS = 100_000_000
"""Less than a client lets pass before it repeats (200 ms, Linux)."""


def is_settled(splice: Splice, said: bytes, now_ns: int) -> bool:
    """Return whether the client has acknowledged all that the endpoint has sent, and awaits nothing more. What it has
    not would be lost: nobody could repeat it. said, now_ns: as in answer_end.is_whole()."""
    if splice.acked[0] != (splice.end[1] + splice.delta[1]) & _U32 or splice.flags & Flag.AWAITS:
        return False
    return answer_end.is_whole(splice, said, now_ns)


def restart_of(splice: Splice, event: SpliceEvent, now_ns: int) -> Restart:
    """Return the client's connection as it has to go on. now_ns: CLOCK_MONOTONIC."""
    there = splice.from_[0]
    clock = None
    if splice.flags & Flag.TS_DOWN:
        clock = splice.last_ts[1] + splice.clock[1] + 1 & _U32
    elif splice.flags & Flag.TIMESTAMPS:
        clock = splice.clock_base[1] + (now_ns - splice.created_ns) // 1_000_000 + 1 & _U32
    shift = splice.scale_to[1]
    return Restart(
        local=(abi.text(there.daddr), there.dport),
        peer=(abi.text(there.saddr), there.sport),
        send_next=splice.end[1] + splice.delta[1] & _U32,
        receive_next=event.seq,
        mss=splice.mss[0],
        send_scale=splice.scale_from[0],
        receive_scale=shift,
        send_window=splice.window[0] << splice.scale_from[0],
        receive_window=min(splice.window[1] << splice.scale_from[1] >> shift, 0xFFFF) << shift,
        sack=bool(splice.sack),
        clock=clock,
        data=bytes(event.bytes)[: event.captured],
    )


def hold_longer(table: SpliceTable, event: SpliceEvent, now_ns: int) -> None:
    """Have the datapath hold back a client whose turn comes later. Nothing else writes to a splice on its way back."""
    splice = table.get(event.id)
    if (splice.state, splice.generation) == (State.BACK, event.generation):
        splice.deadline_ns = now_ns + IN_TURN_NS
        table.put(event.id, splice)


def hold_on(table: SpliceTable, id: int, splice: Splice, now_ns: int) -> None:
    """Let it carry on: the client repeats what was held, and it is judged again, but not for AGAIN_NS: whoever repeats
    it without a break would have us busy. Nothing else writes to it while it is on its way back."""
    splice.state, splice.back, splice.deadline_ns = State.ACTIVE, 0, now_ns + AGAIN_NS
    table.put(id, splice)


def rebuilt(table: SpliceTable, id: int, splice: Splice, event: SpliceEvent) -> socket.socket:
    """Return the client's socket, alive; the splice's ends are gone. Raises OSError, with the splice as it was."""
    sock = tcp_rebuild.rebuild(restart_of(splice, event, time.monotonic_ns()))
    try:
        table.detach(id, splice)
        tcp_rebuild.resume(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def message_of(held: Held, address: tuple[str, int], why: str, event: SpliceEvent) -> Message:
    """Return what the worker is told with the client's socket. address: the client's own."""
    return {
        "type": "back",
        "id": held.id,
        "address": list(address),
        "client": held.note,
        "kind": held.kind.name.lower(),
        "route": held.owner[0],
        "why": why,
        "at": event.at_ns,
    }


def event_of(record: bytes) -> SpliceEvent:
    """Read a record of `splice_events`; one that is short is filled up."""
    return SpliceEvent.from_buffer_copy(record.ljust(sizeof(SpliceEvent), b"\0"))
