"""When a session has ended, and what a sweep takes away."""

from dataclasses import replace

import pytest

from userspace.node import abi
from userspace.node.abi import Direction, TcpSeen
from userspace.node.ageing import NSEC, Half, Swept, Timeouts, expired, sweep

S, D, F, R = TcpSeen.SYN, TcpSeen.SYN | TcpSeen.DATA, TcpSeen.DATA | TcpSeen.FIN, TcpSeen.RST
TIMES = Timeouts(opening=30, established=900, closing=60)


def half(seen: int, last: float = 0) -> Half:
    return Half(b"", Direction.FORWARD, seen, 0, int(last * NSEC))


ROWS = [
    ("a SYN without answer lives 30 s", S, 0, 30, False),
    ("and no longer", S, 0, 31, True),
    ("a SYN-ACK without the handshake's ACK is opening still", S, S, 31, True),
    ("an established session lives 900 s", D, D, 900, False),
    ("and no longer", D, D, 901, True),
    ("one FIN: closing", F, D, 61, True),
    ("closing lives 60 s", F, F, 60, False),
    ("a reset from either side closes", D, R, 61, True),
    ("a reset before an answer closes", S, R, 59, False),
]


@pytest.mark.parametrize(("name", "seen", "other", "age", "expected"), ROWS, ids=[f"{r[0]} ({r[3]})" for r in ROWS])
def test_expired(name: str, seen: int, other: int, age: float, expected: bool) -> None:
    assert expired(half(seen), half(other), int(age * NSEC), TIMES) is expected
    assert expired(half(other), half(seen), int(age * NSEC), TIMES) is expected


def test_either_direction_keeps_it_alive() -> None:
    assert not expired(half(D, last=0), half(D, last=500), 1300 * NSEC, TIMES)


def test_half_a_session_goes_after_the_opening_time() -> None:
    assert not expired(half(D), None, 30 * NSEC, TIMES)
    assert expired(half(D), None, 31 * NSEC, TIMES)


class Sessions:
    """A table in memory. `touch_on_read`: keys that a packet touches right after the sweep has read the table."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self.entries = entries
        self.touched: dict[bytes, bytes] = {}

    def items(self) -> list[tuple[bytes, bytes]]:
        read = list(self.entries.items())
        self.entries |= self.touched
        return read

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def delete(self, key: bytes) -> bool:
        return self.entries.pop(key, None) is not None


def pair(number: int, seen: int, last: float) -> dict[bytes, bytes]:
    forward, reply = abi.Flow(sport=number, vni=0), abi.Flow(sport=number, vni=7)
    fields = {"tcp_seen": seen, "last_seen_ns": int(last * NSEC)}
    return {
        bytes(forward): bytes(abi.Session(peer=reply, direction=Direction.FORWARD, **fields)),
        bytes(reply): bytes(abi.Session(peer=forward, direction=Direction.REPLY, **fields)),
    }


def swept(sessions: Sessions, at: float) -> Swept:
    return sweep(sessions, int(at * NSEC), TIMES)  # type: ignore[arg-type]


def test_a_sweep_removes_both_halves_of_what_expired_and_nothing_else() -> None:
    old, young = pair(1, D, 0), pair(2, D, 500)
    sessions = Sessions(old | young)
    assert swept(sessions, 1000) == Swept(sessions=1, removed=1, orphans=0)
    assert sessions.entries == young


def test_a_sweep_removes_orphans_of_either_direction() -> None:
    forward, reply = list(pair(1, D, 0).items())[0], list(pair(2, D, 0).items())[1]
    sessions = Sessions(dict([forward, reply]))
    assert swept(sessions, 10).orphans == 2
    assert len(sessions.entries) == 2
    swept(sessions, 31)
    assert sessions.entries == {}


def test_an_entry_whose_peer_belongs_to_another_is_an_orphan() -> None:
    stolen = pair(1, D, 0)
    (key, value), _ = stolen.items()
    thief = abi.Session.from_buffer_copy(value)
    other = abi.Flow(sport=9)
    sessions = Sessions(stolen | {bytes(other): bytes(thief)})
    swept(sessions, 31)
    assert sessions.entries == stolen


def test_a_session_that_a_packet_touches_during_the_sweep_stays() -> None:
    sessions = Sessions(pair(1, D, 0))
    sessions.touched = pair(1, D, 999)
    assert swept(sessions, 1000).removed == 0
    assert len(sessions.entries) == 2


def test_half_reads_what_the_datapath_writes() -> None:
    value = abi.Session(
        peer=abi.Flow(sport=1), direction=2, tcp_seen=5, tunnel_sport=50000, created_ns=11, last_seen_ns=22, packets=3
    )
    assert Half.read(bytes(value)) == Half(bytes(abi.Flow(sport=1)), 2, 5, 11, 22)
    assert replace(Half.read(bytes(value)), seen=6).seen == 6
