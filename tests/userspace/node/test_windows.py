"""What an endpoint is told of the client's window, as scapy reads it."""

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP

from tests.userspace.node.test_resets import is_summed
from tests.userspace.node.test_splice_plan import ASKED, CLIENT, ENDPOINT, made
from userspace.node import windows
from userspace.node.splice_abi import Kind
from userspace.node.tcp_leg import Option

OPAQUE = replace(ASKED, kind=Kind.OPAQUE)
ROOM = 64256 - ASKED.tail


@pytest.mark.parametrize(
    ("told", "unacked", "asked", "announced"),
    [
        (ROOM, 0, ASKED, ()),
        (ROOM + 1, 0, ASKED, (0,)),
        (ROOM, 1, ASKED, (0,)),
        (ROOM + 1, 0, OPAQUE, (0, ROOM)),
        (ROOM, 0, OPAQUE, ()),
        (ROOM, ROOM - 2 * 1410, OPAQUE, (0, 2 * 1410)),
        (ROOM, ROOM - 2 * 1410 + 1, OPAQUE, ()),
        (ROOM, ROOM + 5000, ASKED, (0,)),
        (0, 0, ASKED, (0,)),  # a kernel that does not say
    ],
)
def test_what_it_was_told_holds_or_is_taken_back(told: int, unacked: int, asked: object, announced: object) -> None:
    client, endpoint = replace(CLIENT, unacked=unacked), replace(ENDPOINT, receive_window=told)
    assert windows.to_announce(client, endpoint, asked) == announced  # type: ignore[arg-type]


def test_it_is_told_as_by_our_socket() -> None:
    splice = made(asked=OPAQUE)
    shut, room = (IP(raw) for raw in windows.packets(splice, (0, ROOM)))
    for packet, window in ((shut, 0), (room, ROOM >> 3)):
        assert (packet.src, packet.sport, packet.dst, packet.dport) == ("10.1.0.11", 50000, "10.1.0.21", 8080)
        assert (packet[TCP].seq, packet[TCP].ack, packet[TCP].flags) == (2_000, 9_000, "A")
        assert packet[TCP].window == window and len(packet[TCP].payload) == 0
        assert packet[TCP].options == [("NOP", None), ("NOP", None), ("Timestamp", (80_000, 0))]
        assert is_summed(packet)


def test_a_connection_without_timestamps_gets_none() -> None:
    plain = {"options": Option.SACK | Option.WSCALE}
    splice = made(replace(CLIENT, **plain), replace(ENDPOINT, **plain))
    (packet,) = windows.packets(splice, (0,))
    assert IP(packet)[TCP].options == []
