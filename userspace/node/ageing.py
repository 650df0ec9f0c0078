"""Remove sessions that have ended or fallen silent. The datapath creates both entries of a session; this removes both.

`expired` decides, purely. `sweep` reads the whole table in batches and deletes what expired, after a second look at
each: a session that a packet touched meanwhile stays. What is left of that race is one packet wide, and its sender
retransmits into a new decision.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from userspace.node.abi import Direction, TcpSeen
from userspace.node.maps import Table

NSEC = 1_000_000_000
# struct session from `direction` on: direction, tcp_seen, (2 bytes), created_ns, last_seen_ns
_STATE = struct.Struct("=BBxxQQ")
_PEER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of silence after which a session goes, by what it has shown.

    opening: no answer yet (DPVS has 30). established: longer than clients keep connections alive. closing: after FIN
    or RST, at least the 60 s of the endpoint's TIME_WAIT, so that its port is not offered to it again too early.
    """

    opening: float = 30
    established: float = 900
    closing: float = 60


@dataclass(frozen=True, slots=True)
class Half:
    """One entry: what it has seen, when, and the key of its other half."""

    peer: bytes
    direction: int
    seen: int
    created_ns: int
    last_seen_ns: int

    @classmethod
    def read(cls, value: bytes) -> "Half":
        return cls(value[:_PEER_BYTES], *_STATE.unpack_from(value, _PEER_BYTES))


@dataclass(frozen=True, slots=True)
class Swept:
    """sessions: pairs still there. removed: pairs taken away. orphans: entries whose other half was missing."""

    sessions: int
    removed: int
    orphans: int


def expired(half: Half, other: Half | None, now_ns: int, timeouts: Timeouts) -> bool:
    """Return whether a session, given by its two halves, has ended. Half a session ends with the `opening` time."""
    seen = half.seen | (other.seen if other else 0)
    last = max(half.last_seen_ns, other.last_seen_ns if other else 0)
    if other is None:
        allowed = timeouts.opening
    elif seen & (TcpSeen.FIN | TcpSeen.RST):
        allowed = timeouts.closing
    elif half.seen & TcpSeen.DATA and other.seen & TcpSeen.DATA:
        allowed = timeouts.established
    else:
        allowed = timeouts.opening
    return now_ns - last > allowed * NSEC


def sweep(sessions: Table, now_ns: int, timeouts: Timeouts) -> Swept:
    """Look at every session once. now_ns: CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns()."""
    halves = {key: Half.read(value) for key, value in sessions.items()}
    removed = orphans = 0
    for key, half in halves.items():
        other = _other(halves, key, half)
        if other is None:
            orphans += 1
        elif half.direction != Direction.FORWARD:
            continue
        if expired(half, other, now_ns, timeouts) and _still(sessions, key, half, other):
            sessions.delete(key)
            if other is not None:
                sessions.delete(half.peer)
            removed += 1
    return Swept(sum(h.direction == Direction.FORWARD for h in halves.values()) - removed, removed, orphans)


def _other(halves: Mapping[bytes, Half], key: bytes, half: Half) -> Half | None:
    other = halves.get(half.peer)
    return other if other is not None and other.peer == key else None


def _still(sessions: Table, key: bytes, half: Half, other: Half | None) -> bool:
    """Return whether neither half has moved since it was read."""
    for where, was in ((key, half), (half.peer, other)):
        if was is not None:
            value = sessions.get(where)
            if value is not None and Half.read(value) != was:
                return False
    return True
