"""A next hop whose MAC nobody has asked for: the kernel sends on TC; XDP leaves a note for neigh_ingress."""

from ctypes import c_uint32

import pytest
from scapy.packet import Raw

from tests.bpf.conftest import Datapaths
from tests.bpf.l4_rows import CLIENT, LADDR, PUBLISHED, VIP
from tests.packets import (
    TC_ACT_OK,
    TC_ACT_REDIRECT,
    Case,
    Entry,
    arrives,
    flow,
    run,
    run_case,
    tcp,
)
from userspace.node import abi
from userspace.node.abi import Direction, Event, TcpSeen
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf
NEAR = "10.0.0.77"  # on the link, and unknown
THERE, BACK = flow(CLIENT, 4210, VIP, 80), flow(NEAR, 80, LADDR, 5000)
TOLD = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
OPEN = (
    *PUBLISHED,
    Entry("sessions", THERE, abi.Session(peer=BACK, direction=Direction.FORWARD, tcp_seen=TOLD)),
    Entry("sessions", BACK, abi.Session(peer=THERE, direction=Direction.REPLY, tcp_seen=TOLD)),
)
ASKS = arrives(tcp(CLIENT, 4210, VIP, 80, "A") / Raw(b"x"))
# The MACs are written by whoever sends it.
SENT = arrives(tcp(LADDR, 5000, NEAR, 80, "A", ttl=63) / Raw(b"x"))
MAGIC = 0x6E656967


def test_on_tc_the_kernel_asks_and_sends(l4: Datapath, ifindex: int) -> None:
    row = Case("unknown neighbour", ASKS, TC_ACT_REDIRECT, SENT, OPEN, {Event.NEIGH_SLOW: 1})
    run_case(row, l4.programs["l4_ingress"], l4.tables, ifindex)


def test_on_xdp_the_finished_packet_goes_up_with_a_note(datapaths: Datapaths, ifindex: int) -> None:
    loaded = datapaths("l4", "xdp", False)
    note = bytes(c_uint32(MAGIC)) + bytes(c_uint32(ifindex))
    row = Case("unknown neighbour", ASKS, TC_ACT_OK, note + bytes(SENT), OPEN)
    run_case(row, loaded.programs["l4_xdp"], loaded.tables, ifindex, is_xdp=True)


def test_a_packet_without_a_note_goes_on_untouched(datapaths: Datapaths, ifindex: int) -> None:
    neigh_ingress = datapaths("l4", "xdp", False).programs["neigh_ingress"]
    ran = run(neigh_ingress, bytes(ASKS), ifindex)
    assert ran.verdict == 2**32 - 1  # TC_ACT_UNSPEC, TCX_NEXT: whatever else is attached there decides
    assert ran.packet == bytes(ASKS)
