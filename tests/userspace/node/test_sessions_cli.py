"""Sessions as people see them."""

import pytest

from userspace.node import abi, sessions_cli
from userspace.node.abi import Direction, TcpSeen
from userspace.node.ageing import Ended
from userspace.node.sessions_cli import NSEC, rows, state, table

FORWARD = abi.Flow(saddr=abi.addr("10.1.0.11"), daddr=abi.addr("100.64.0.1"), sport=40000, dport=80, proto=6)
REPLY = abi.Flow(saddr=abi.addr("192.168.0.10"), daddr=abi.addr("198.18.1.1"), sport=80, dport=6000, vni=10010, proto=6)
ENTRIES = {
    bytes(FORWARD): bytes(
        abi.Session(peer=REPLY, direction=Direction.FORWARD, tcp_seen=3, created_ns=NSEC, last_seen_ns=NSEC, packets=3)
    ),
    bytes(REPLY): bytes(
        abi.Session(peer=FORWARD, direction=Direction.REPLY, tcp_seen=3, last_seen_ns=4 * NSEC, packets=2, bytes=99)
    ),
}


def test_a_session_is_one_row() -> None:
    (row,) = rows(ENTRIES, 10 * NSEC)
    assert (row.opener, row.reached) == ("10.1.0.11:40000", "100.64.0.1:80")
    assert (row.leaves_as, row.towards, row.vni) == ("198.18.1.1:6000", "192.168.0.10:80", 10010)
    assert (row.age, row.idle, row.packets, row.bytes) == (9, 6, (3, 2), (0, 99))
    assert "192.168.0.10:80" in table([row]) and "established" in table([row])


class Table(dict[bytes, bytes]):
    def delete(self, key: bytes) -> bool:
        return self.pop(key, None) is not None


def test_killing_takes_both_halves_and_tells_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Ended] = []
    monkeypatch.setattr(sessions_cli, "reset_ends", lambda tables, ended: told.extend(ended))
    table = Table(ENTRIES)
    found = list(rows(ENTRIES, 0))
    assert sessions_cli.kill({"sessions": table}, ENTRIES, found) == 1  # type: ignore[dict-item]
    assert not table
    assert told == [Ended(bytes(FORWARD), ENTRIES[bytes(FORWARD)], ENTRIES[bytes(REPLY)])]
    assert sessions_cli.kill({"sessions": table}, ENTRIES, found) == 0  # type: ignore[dict-item]


DSR = abi.Flow(saddr=abi.addr("203.0.113.9"), daddr=abi.addr("10.100.0.20"), sport=4210, dport=80, proto=6)


def test_a_dsr_session_is_a_row_by_itself_and_killing_it_tells_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    to = abi.Flow(saddr=abi.addr("10.1.0.11"), sport=80, proto=6)
    seen = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
    entries = {bytes(DSR): bytes(abi.Session(peer=to, direction=Direction.ONLY, tcp_seen=seen, packets=3))}
    (row,) = rows(entries, 0)
    assert (row.leaves_as, row.towards, row.state, row.packets) == ("dsr", "10.1.0.11:80", "established", (3, 0))
    told: list[Ended] = []
    monkeypatch.setattr(sessions_cli, "reset_ends", lambda tables, ended: told.extend(ended))
    held = Table(entries)
    assert sessions_cli.kill({"sessions": held}, entries, [row]) == 1  # type: ignore[dict-item]
    assert not held and told == [Ended(bytes(DSR), entries[bytes(DSR)], None)]


def test_half_a_session_is_no_row() -> None:
    assert list(rows({bytes(FORWARD): ENTRIES[bytes(FORWARD)]}, 0)) == []


@pytest.mark.parametrize(
    ("forward", "reply", "word"),
    [
        (TcpSeen.SYN, 0, "opening"),
        (TcpSeen.SYN | TcpSeen.DATA, TcpSeen.SYN, "opening"),
        (TcpSeen.DATA, TcpSeen.DATA, "established"),
        (TcpSeen.DATA | TcpSeen.FIN, TcpSeen.DATA, "closing"),
        (TcpSeen.FIN, TcpSeen.FIN, "closed"),
        (TcpSeen.FIN, TcpSeen.RST, "reset"),
    ],
)
def test_state(forward: int, reply: int, word: str) -> None:
    assert state(forward, reply) == word
