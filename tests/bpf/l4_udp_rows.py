"""Packet rows of the L4 tier: UDP."""

from scapy.packet import Raw

from tests.bpf import l4_rows as v4
from tests.bpf.l4_machine import NEW, PUBLISHED, UDP_OPEN
from tests.packets import TC_ACT_REDIRECT, Case, arrives, dropped, leaves, udp
from userspace.node.abi import DropReason


def checksum_zero() -> Case:
    """A datagram whose new checksum is 0 leaves with ffff (RFC 768): its payload is what the sum lacks."""
    out = udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63)
    payload = Raw(bytes(out / Raw(bytes(2)))[26:28])
    leaving = out / payload
    assert bytes(leaving)[26:28] == b"\xff\xff"
    packet = udp(v4.CLIENT, 4210, v4.VIP, 53) / payload
    return Case("a checksum that becomes 0 is written as ffff", arrives(packet), 7, leaves(leaving), UDP_OPEN)


ROWS = [
    checksum_zero(),
    *(
        Case(
            f"a datagram of {size} bytes opens a session, no option added",
            arrives(udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(b"q" * size)),
            TC_ACT_REDIRECT,
            leaves(udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63) / Raw(b"q" * size)),
            PUBLISHED,
            NEW,
        )
        for size in (0, 1, 2, 511, 1472)
    ),
    Case(
        "the next datagram uses it",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(b"q")),
        TC_ACT_REDIRECT,
        leaves(udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63) / Raw(b"q")),
        UDP_OPEN,
    ),
    Case(
        "the answer comes from the VIP",
        arrives(udp(v4.GATEWAY, 80, v4.LADDR, 5000) / Raw(b"a")),
        TC_ACT_REDIRECT,
        leaves(udp(v4.VIP, 53, v4.CLIENT, 4210, ttl=63) / Raw(b"a")),
        UDP_OPEN,
    ),
    Case(
        "a datagram without checksum stays without",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 53, chksum=0) / Raw(b"q")),
        TC_ACT_REDIRECT,
        leaves(udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63, chksum=0) / Raw(b"q")),
        UDP_OPEN,
    ),
    dropped("a UDP length below 8", arrives(udp(v4.CLIENT, 4210, v4.VIP, 53, len=7)), DropReason.MALFORMED, *UDP_OPEN),
    dropped(
        "a UDP length beyond the packet",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 53, len=9)),
        DropReason.MALFORMED,
        *UDP_OPEN,
    ),
    dropped(
        "an answer that nobody asked for",
        arrives(udp(v4.GATEWAY, 80, v4.LADDR, 5000)),
        DropReason.NO_SESSION,
        *PUBLISHED,
    ),
]
