"""When a session has ended, and what a sweep takes away."""

from collections.abc import Iterator

import pytest

from userspace.node import abi
from userspace.node.abi import Direction, TcpSeen
from userspace.node.ageing import MAX_RESETS, NSEC, Swept, Timeouts, sweep

SYN, DATA = TcpSeen.SYN, TcpSeen.SYN | TcpSeen.DATA
S, D = SYN, DATA | TcpSeen.PEER
F, R = D | TcpSeen.FIN, SYN | TcpSeen.RST
TIMES = Timeouts(opening=30, established=900, closing=60, reset=10, udp=120, icmp=20)

ROWS = [
    ("a SYN without answer", 6, S, 30),
    ("a SYN whose answer is a SYN-ACK alone", 6, S | TcpSeen.PEER, 30),
    ("an established session", 6, D, 900),
    ("one that said FIN", 6, F, 60),
    ("one whose other end said FIN", 6, D | TcpSeen.PEER_FIN, 60),
    ("one that was reset", 6, R, 10),
    ("one that its other end reset", 6, D | TcpSeen.PEER_RST, 10),
    ("a FIN and then a RST", 6, F | TcpSeen.RST, 10),
    ("a datagram's", 17, TcpSeen.DATA, 120),
    ("a ping's", 1, TcpSeen.DATA, 20),
    ("an IPv6 ping's", 58, TcpSeen.DATA | TcpSeen.PEER, 20),
]


@pytest.mark.parametrize(("name", "proto", "seen", "seconds"), ROWS, ids=[row[0] for row in ROWS])
def test_allowed_silence(name: str, proto: int, seen: int, seconds: int) -> None:
    assert TIMES.allowed(proto, seen) == seconds


class Sessions:
    """A table in memory. `touch_on_read`: keys that a packet touches right after the sweep has read the table."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self.entries = entries
        self.touched: dict[bytes, bytes] = {}

    def chunks(self) -> Iterator[tuple[bytes, bytes, int]]:
        read = list(self.entries.items())
        self.entries |= self.touched
        for at in range(0, len(read), 3):
            part = read[at : at + 3]
            yield b"".join(k for k, _ in part), b"".join(v for _, v in part), len(part)

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def delete(self, key: bytes) -> bool:
        return self.entries.pop(key, None) is not None


def pair(number: int, seen: int, last: float, proto: int = 6, **fields: int) -> dict[bytes, bytes]:
    laddr = abi.addr("10.0.0.1")
    forward = abi.Flow(sport=number, proto=proto)
    reply = abi.Flow(sport=number, vni=7, proto=proto, daddr=laddr)
    common = {"tcp_seen": seen, "last_seen_ns": int(last * NSEC), **fields}
    return {
        bytes(forward): bytes(abi.Session(peer=reply, direction=Direction.FORWARD, **common)),
        bytes(reply): bytes(abi.Session(peer=forward, direction=Direction.REPLY, **common)),
    }


def swept(
    sessions: Sessions, at: float, thorough: bool = False, down: frozenset[tuple[int, int]] = frozenset()
) -> Swept:
    return sweep(sessions, int(at * NSEC), TIMES, down, thorough)  # type: ignore[arg-type]


def test_a_sweep_removes_both_halves_of_what_expired_and_nothing_else() -> None:
    old, young = pair(1, D, 0), pair(2, D, 500)
    sessions = Sessions(old | young)
    found = swept(sessions, 1000)
    assert (found.sessions, found.removed, found.orphans) == (1, 1, 0)
    assert sessions.entries == young


@pytest.mark.parametrize("kept", [0, 1], ids=["forward", "reply"])
def test_either_direction_keeps_a_session_alive(kept: int) -> None:
    old, late = pair(1, D, 0), list(pair(1, D, 999).items())
    sessions = Sessions(old | dict([late[kept]]))
    assert swept(sessions, 1000).removed == 0
    assert len(sessions.entries) == 2


def test_a_sweep_counts_by_account_and_local_address() -> None:
    sessions = Sessions(pair(1, D, 0, account=4) | pair(2, D, 0, account=4) | pair(3, D, 0, account=5))
    found = swept(sessions, 10)
    assert found.by_account == {4: 2, 5: 1}
    assert found.ports == {bytes(abi.addr("10.0.0.1")): 3}


def test_unequal_halves_are_counted_and_a_thorough_sweep_removes_them() -> None:
    forwards = dict(list(pair(n, D, 0).items())[0] for n in (1, 2))
    sessions = Sessions(forwards | dict([list(pair(3, D, 0).items())[1]]))
    assert swept(sessions, 31).orphans == 1
    assert swept(sessions, 29, thorough=True).orphans == 0
    found = swept(sessions, 31, thorough=True)
    assert (found.orphans, found.removed) == (3, 3)
    assert sessions.entries == {}


def test_an_entry_whose_peer_belongs_to_another_is_an_orphan() -> None:
    stolen = pair(1, D, 0)
    (_, value), _ = stolen.items()
    sessions = Sessions(stolen | {bytes(abi.Flow(sport=9)): value})
    swept(sessions, 31, thorough=True)
    assert sessions.entries == stolen


def test_a_session_that_a_packet_touches_during_the_sweep_stays() -> None:
    sessions = Sessions(pair(1, D, 0))
    sessions.touched = pair(1, D, 999)
    assert swept(sessions, 1000).removed == 0
    assert len(sessions.entries) == 2


def test_the_ends_of_an_established_session_are_to_be_told_and_no_others() -> None:
    sessions = Sessions(pair(1, D, 0) | pair(2, F, 0) | pair(3, R, 0) | pair(4, S, 0) | pair(5, D, 0, proto=17))
    found = swept(sessions, 1000)
    assert found.removed == 5
    assert [abi.Flow.from_buffer_copy(one.key).sport for one in found.resets] == [1]
    assert [abi.Session.from_buffer_copy(v).direction for v in (found.resets[0].forward, found.resets[0].reply)] == [
        1,
        2,
    ]


def test_no_more_than_a_sweeps_share_is_told() -> None:
    entries: dict[bytes, bytes] = {}
    for number in range(MAX_RESETS + 5):
        entries |= pair(number, D, 0)
    found = swept(Sessions(entries), 1000)
    assert (found.removed, len(found.resets)) == (MAX_RESETS + 5, MAX_RESETS)


def test_sessions_of_a_target_that_is_down_end_at_once() -> None:
    theirs, others, older = (
        pair(n, D, 99, target=t, target_generation=g) for n, t, g in ((1, 3, 7), (2, 4, 7), (3, 3, 6))
    )
    sessions = Sessions(theirs | others | older)
    found = swept(sessions, 100, down=frozenset({(3, 7)}))
    assert (found.removed, len(found.resets)) == (1, 1)
    assert sessions.entries == others | older


def alone(number: int, seen: int, last: float, **fields: int) -> dict[bytes, bytes]:
    """The one entry of a DSR VIP's session."""
    target = abi.Flow(saddr=abi.addr("10.1.0.11"), sport=80, proto=6)
    session = abi.Session(peer=target, direction=Direction.ONLY, tcp_seen=seen, last_seen_ns=int(last * NSEC), **fields)
    return {bytes(abi.Flow(sport=number, proto=6)): bytes(session)}


def test_a_dsr_session_is_whole_by_itself_and_ages_by_what_its_client_has_shown() -> None:
    sessions = Sessions(alone(1, S, 0) | alone(2, D, 0) | alone(3, F, 0) | alone(4, R, 0))
    for at, left, removed in ((9, 4, 0), (11, 3, 1), (31, 2, 1), (61, 1, 1), (899, 1, 0), (901, 0, 1)):
        found = swept(sessions, at)
        assert (found.sessions, found.removed_alone, found.orphans) == (left, removed, 0)
        assert found.resets == []  # silent, it may go on by the ring


def test_a_thorough_sweep_takes_no_dsr_session_for_half_of_one() -> None:
    sessions = Sessions(alone(1, D, 0))
    assert (swept(sessions, 100, thorough=True).sessions, len(sessions.entries)) == (1, 1)


def test_a_dsr_session_of_a_target_that_is_down_ends_and_its_client_is_told() -> None:
    ends, stays = alone(1, D, 0, target=1, target_generation=2), alone(2, D, 0, target=1, target_generation=1)
    opening = alone(3, S, 0, target=1, target_generation=2)
    sessions = Sessions(ends | stays | opening)
    found = swept(sessions, 1, down=frozenset({(1, 2)}))
    assert sessions.entries == stays
    assert [(one.key, one.reply) for one in found.resets] == [(next(iter(ends)), None)]


def test_what_a_splice_has_taken_over_stays_and_keeps_its_port() -> None:
    ((forward, _), (reply, value)) = pair(1, D, 0).items()
    taken = abi.Session.from_buffer_copy(value)
    taken.direction = Direction.SPLICED
    sessions = Sessions({reply: bytes(taken)})
    found = swept(sessions, 10_000, thorough=True)
    assert sessions.entries == {reply: bytes(taken)}
    assert (found.sessions, found.removed, found.orphans) == (0, 0, 0)
    assert sum(found.ports.values()) == 1


def test_what_a_splice_takes_over_while_it_is_swept_stays() -> None:
    entries = pair(1, D, 0)
    ((_, _), (reply, value)) = entries.items()
    taken = abi.Session.from_buffer_copy(value)
    taken.direction = Direction.SPLICED
    sessions = Sessions({reply: value})
    sessions.touched = {reply: bytes(taken)}
    swept(sessions, 10_000, thorough=True)
    assert sessions.entries == {reply: bytes(taken)}
