"""Remove sessions that have ended or fallen silent. The datapath creates both entries of a session; this removes both.

`Timeouts.allowed` decides, purely, from one entry: each knows what the other has shown. `sweep` reads the table in
batches, in bounded memory, and looks the other entry up only when one has been silent for its time. What expired is
deleted after a second look: a session that a packet touched meanwhile stays. What is left of that race is one packet
wide, and its sender retransmits into a new decision.
"""

import struct
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress

from userspace.node.abi import Direction, TcpSeen
from userspace.node.maps import Table

NSEC = 1_000_000_000
TCP, UDP = 6, 17
# struct session: peer (its proto apart), direction, tcp_seen, target, generation, account, created_ns, last_seen_ns
_SESSION = struct.Struct("=40sB3xBBxxIII4xQQ16x")
KEY_BYTES = 44
_LOCAL = slice(16, 32)  # daddr of a reply's key: the local address
# The columns of a value: in bytes, in u32, in u64.
_DIRECTION, _TARGET, _GENERATION, _ACCOUNT, _LAST = 44, 12, 13, 14, 9
_OPENERS = (int(Direction.FORWARD), int(Direction.ONLY))
_HALVES = (int(Direction.FORWARD), int(Direction.REPLY))
_OPENS = bytes(direction in _OPENERS for direction in range(256))
_KEEPS_PORT = bytes(direction not in _OPENERS for direction in range(256))
MAX_RESETS = 1000  # sessions of one sweep whose ends are told
_CLOSING = TcpSeen.FIN | TcpSeen.PEER_FIN
_RESET = TcpSeen.RST | TcpSeen.PEER_RST
_BOTH = TcpSeen.DATA | TcpSeen.PEER


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds of silence after which a session goes, by what it has shown.

    opening: no answer yet (DPVS has 30). established: longer than clients keep connections alive. closing: after a FIN,
    at least the 60 s of the endpoint's TIME_WAIT, so that its port is not offered to it again too early. reset: after a
    RST, which leaves nothing behind. udp, and icmp for pings, which have no states.
    """

    opening: float = 30
    established: float = 900
    closing: float = 60
    reset: float = 10
    udp: float = 120
    icmp: float = 20

    def allowed(self, proto: int, seen: int) -> float:
        """Return the seconds that a session may be silent, by what either of its entries has seen."""
        if proto != TCP:
            return self.udp if proto == UDP else self.icmp
        if seen & _RESET:
            return self.reset
        if seen & _CLOSING:
            return self.closing
        return self.established if seen & _BOTH == _BOTH else self.opening


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that was taken away while its ends thought it alive: its forward key and both values. reply: None for a
    DSR VIP's, whose answers do not pass here."""

    key: bytes
    forward: bytes
    reply: bytes | None


@dataclass(slots=True)
class Swept:
    """sessions: pairs still there, and those of DSR VIPs. removed: pairs taken away; removed_alone: of DSR VIPs.
    orphans: by how many one kind of half outnumbers the other. by_account: sessions by their account. ports: local
    ports in use by local address, 16 bytes. resets: established sessions whose ends have to be told, up to MAX_RESETS.
    """

    sessions: int = 0
    removed: int = 0
    removed_alone: int = 0
    orphans: int = 0
    by_account: Counter[int] = field(default_factory=Counter)
    ports: Counter[bytes] = field(default_factory=Counter)
    resets: list[Ended] = field(default_factory=list)


def sweep(
    sessions: Table, now_ns: int, timeouts: Timeouts, down: Set[tuple[int, int]] = frozenset(), thorough: bool = False
) -> Swept:
    """Look at every session once. now_ns: CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns().

    down: (index, generation) of targets whose sessions end now. thorough: look for halves whose other half is gone too,
    at a lookup for each that has been silent for the opening time; worth it after a sweep that counted orphans.
    """
    swept = Swept()
    read = Counter[int]()
    longest = {(proto, seen): int(timeouts.allowed(proto, seen) * NSEC) for proto in range(256) for seen in range(128)}
    opening = int(timeouts.opening * NSEC)
    shortest = min(longest.values())
    for keys, values, count in sessions.chunks():
        # By columns: all that is done for each entry is done in C, and the event loop waits for no more than a chunk.
        directions = values[_DIRECTION :: _SESSION.size]
        words = memoryview(values).cast("I")
        accounts = words[_ACCOUNT :: _SESSION.size // 4].tolist()
        openers = directions.translate(_OPENS)
        swept.sessions += openers.count(1)
        swept.by_account.update(compress(accounts, openers))
        with_port = compress(_locals(count), directions.translate(_KEEPS_PORT))
        swept.ports.update(map(keys.__getitem__, with_port))
        for direction in _HALVES:
            read[direction] += directions.count(direction)
        lasts = memoryview(values).cast("Q")[_LAST :: _SESSION.size // 8].tolist()
        before = now_ns - shortest
        suspects = {at for at, last in enumerate(lasts) if last < before}
        ended = _of_targets(words, openers, down) if down else frozenset[int]()
        for at in suspects | ended:
            key = keys[at * KEY_BYTES : (at + 1) * KEY_BYTES]
            value = values[at * _SESSION.size : (at + 1) * _SESSION.size]
            _, proto, direction, seen, *_, last = _SESSION.unpack(value)
            if direction == Direction.SPLICED:  # its splice decides when it goes
                continue
            silent = now_ns - last
            if not (silent > longest[proto, seen & 127] or at in ended or (thorough and silent > opening)):
                continue
            if _end(sessions, key, value, now_ns, timeouts, at in ended, swept):
                if openers[at]:
                    swept.sessions -= 1
                    swept.by_account[accounts[at]] -= 1
                else:
                    swept.ports[key[_LOCAL]] -= 1
    swept.by_account, swept.ports = +swept.by_account, +swept.ports  # without those of which nothing is left
    if not thorough:
        odd = abs(read[Direction.FORWARD] - read[Direction.REPLY])
        swept.orphans = max(0, odd - swept.removed)
    return swept


@lru_cache(maxsize=4)
def _locals(count: int) -> tuple[slice, ...]:
    """Where the local addresses of `count` keys in a row are. Nearly all chunks are of one size."""
    return tuple(slice(at + _LOCAL.start, at + _LOCAL.stop) for at in range(0, count * KEY_BYTES, KEY_BYTES))


def _of_targets(words: "memoryview[int]", openers: bytes, down: Set[tuple[int, int]]) -> frozenset[int]:
    """Return which entries are those of targets that are down."""
    step = _SESSION.size // 4
    targets, generations = words[_TARGET::step].tolist(), words[_GENERATION::step].tolist()
    pairs = enumerate(zip(targets, generations, strict=True))
    return frozenset(at for at, pair in pairs if pair in down and openers[at])


def _is_established(proto: int, seen: int) -> bool:
    return proto == TCP and seen & _BOTH == _BOTH and not seen & (_RESET | _CLOSING)


def _end(
    sessions: Table, key: bytes, value: bytes, now_ns: int, timeouts: Timeouts, is_down: bool, swept: Swept
) -> bool:
    """Take a session away when both of its entries have been silent; return whether this entry is gone."""
    peer = value[:KEY_BYTES]
    other = sessions.get(peer)
    if other is not None and other[:KEY_BYTES] != key:
        other = None
    current = sessions.get(key)
    if current is None:
        return True
    _, proto, direction, seen, *_, last = _SESSION.unpack(current)
    if direction == Direction.SPLICED:  # taken over since it was read
        return True
    if direction == Direction.ONLY:
        if not is_down and now_ns - last <= timeouts.allowed(proto, seen) * NSEC:
            return False
        sessions.delete(key)
        swept.removed_alone += 1
        # Silent, it may go on by the ring: only who has lost his target is told.
        if is_down and _is_established(proto, seen) and len(swept.resets) < MAX_RESETS:
            swept.resets.append(Ended(key, current, None))
        return True
    if other is None:
        swept.orphans += 1
        if now_ns - last <= timeouts.opening * NSEC:
            return False
        sessions.delete(key)
        swept.removed += 1
        return True
    last = max(last, _SESSION.unpack(other)[-1])
    if not is_down and now_ns - last <= timeouts.allowed(proto, seen) * NSEC:
        return False
    sessions.delete(key)
    sessions.delete(peer)
    swept.removed += 1
    if _is_established(proto, seen) and len(swept.resets) < MAX_RESETS:
        is_forward = direction == Direction.FORWARD
        swept.resets.append(Ended(key, current, other) if is_forward else Ended(peer, other, current))
    return True
