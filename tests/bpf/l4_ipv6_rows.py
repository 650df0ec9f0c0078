"""Packet rows of the L4 tier: IPv6."""

from scapy.layers.inet import TCP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.bpf.l4_machine import CLIENT6, GATEWAY6, LADDR6, NEW, OPEN6, PUBLISHED, TOA6, TOLD6, VIP6, WRITTEN
from tests.bpf.l4_rows import SYN_OPTIONS, TIMESTAMP
from tests.packets import TC_ACT_REDIRECT, Case, arrives, dropped, leaves, passed, tcp, udp
from userspace.node.abi import DropReason, Event


def from_client6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(CLIENT6, 4210, VIP6, 80, flags, **fields) / Raw(payload))


def to_gateway6(flags: str = "A", payload: bytes = b"", ttl: int = 63, **fields: object) -> Packet:
    return leaves(tcp(LADDR6, 5000, GATEWAY6, 80, flags, ttl=ttl, **fields) / Raw(payload))


def from_gateway6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(GATEWAY6, 80, LADDR6, 5000, flags, **fields) / Raw(payload))


def to_client6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return leaves(tcp(VIP6, 80, CLIENT6, 4210, flags, ttl=63, **fields) / Raw(payload))


ROWS = [
    Case(
        "v6: the first SYN opens a session",
        from_client6("S", options=SYN_OPTIONS, seq=9),
        TC_ACT_REDIRECT,
        to_gateway6("S", options=SYN_OPTIONS, seq=9),
        PUBLISHED,
        NEW,
    ),
    Case(
        "v6: the handshake's ACK carries 20 bytes of TOA",
        from_client6("A", options=TIMESTAMP),
        TC_ACT_REDIRECT,
        to_gateway6("A", options=[TOA6, *TIMESTAMP]),
        OPEN6,
        WRITTEN,
    ),
    *(
        Case(
            f"v6: a request of {size} bytes carries TOA and its payload unchanged",
            from_client6("PA", bytes(i & 0xFF for i in range(size))),
            TC_ACT_REDIRECT,
            to_gateway6("PA", bytes(i & 0xFF for i in range(size)), options=[TOA6]),
            OPEN6,
            WRITTEN,
        )
        for size in (1, 43, 44, 45, 64, 128, 1419, 1420)
    ),
    Case(
        "v6: a segment too long for the option goes without",
        from_client6("PA", b"x" * 1421),
        TC_ACT_REDIRECT,
        to_gateway6("PA", b"x" * 1421),
        OPEN6,
        {Event.TOA_NO_ROOM: 1},
    ),
    Case(
        "v6: a header too full for the option goes without",
        from_client6("A", options=[*TIMESTAMP, ("SAck", (1, 2)), ("NOP", None), ("NOP", None)]),
        TC_ACT_REDIRECT,
        to_gateway6("A", options=[*TIMESTAMP, ("SAck", (1, 2)), ("NOP", None), ("NOP", None)]),
        OPEN6,
        {Event.TOA_NO_ROOM: 1},
    ),
    Case("v6: once the gateway has answered, no TOA", from_client6("A", b"x"), 7, to_gateway6("A", b"x"), TOLD6),
    Case("v6: hop limit 2 leaves as 1", from_client6("A", ttl=2), 7, to_gateway6("A", ttl=1), TOLD6),
    Case("v6: traffic class passes through", from_client6("A", tos=0xBB), 7, to_gateway6("A", tos=0xBB), TOLD6),
    Case("v6: a RST carries no TOA", from_client6("R"), 7, to_gateway6("R"), OPEN6),
    Case(
        "v6: the SYN-ACK's MSS leaves room for TOA",
        from_gateway6("SA", options=[("MSS", 1440)]),
        TC_ACT_REDIRECT,
        to_client6("SA", options=[("MSS", 1420)]),
        OPEN6,
    ),
    Case("v6: an answer goes to the client", from_gateway6("PA", b"ok"), 7, to_client6("PA", b"ok"), TOLD6),
    Case(
        "v6: a datagram opens a session",
        arrives(udp(CLIENT6, 4210, VIP6, 53) / Raw(b"query")),
        TC_ACT_REDIRECT,
        leaves(udp(LADDR6, 5000, GATEWAY6, 80, ttl=63) / Raw(b"query")),
        PUBLISHED,
        NEW,
    ),
    Case(
        "v6: a VIP answers a ping",
        arrives(IPv6(src=CLIENT6, dst=VIP6) / ICMPv6EchoRequest(id=7, seq=3, data=b"ping")),
        TC_ACT_REDIRECT,
        leaves(IPv6(src=VIP6, dst=CLIENT6, hlim=64) / ICMPv6EchoReply(id=7, seq=3, data=b"ping")),
        PUBLISHED,
        {Event.ECHO: 1},
    ),
    passed("v6: another address", arrives(tcp(CLIENT6, 1, "2001:db8::10", 80)), *PUBLISHED),
    passed("v6: neighbour solicitation of a VIP", arrives(IPv6(src=CLIENT6, dst=VIP6) / ICMPv6ND_NS(tgt=VIP6)), *TOLD6),
    dropped("v6: hop limit 1", from_client6("A", ttl=1), DropReason.TTL_EXPIRED, *TOLD6),
    dropped("v6: hop limit 0", from_client6("A", ttl=0), DropReason.TTL_EXPIRED, *TOLD6),
    dropped("v6: no session", from_client6("A"), DropReason.NO_SESSION, *PUBLISHED),
    dropped("v6: no service", arrives(tcp(CLIENT6, 4210, VIP6, 81)), DropReason.NO_SERVICE, *PUBLISHED),
    dropped(
        "v6: the only port taken",
        arrives(tcp(CLIENT6, 4211, VIP6, 80)),
        DropReason.PORTS_EXHAUSTED,
        *OPEN6,
        port_probe=16,
    ),
    dropped(
        "v6: a fragment",
        arrives(IPv6(src=CLIENT6, dst=VIP6) / IPv6ExtHdrFragment(m=1) / TCP(sport=4210, dport=80)),
        DropReason.FRAGMENT,
        *TOLD6,
    ),
    dropped(
        "v6: extension headers",
        arrives(IPv6(src=CLIENT6, dst=VIP6) / IPv6ExtHdrHopByHop() / TCP(sport=4210, dport=80)),
        DropReason.IP_OPTIONS,
        *TOLD6,
    ),
    dropped("v6: a length beyond the frame", from_client6("A", len=400), DropReason.MALFORMED, *TOLD6),
    dropped("v6: a length below the TCP header's", from_client6("A", len=59), DropReason.MALFORMED, *TOLD6),
    dropped("v6: a TCP header cut off", Ether(bytes(from_client6("A"))[:65]), DropReason.MALFORMED, *TOLD6),
    dropped("v6: a TCP header shorter than 20", from_client6("A", dataofs=4), DropReason.MALFORMED, *TOLD6),
    dropped(
        "v6: another protocol",
        arrives(IPv6(src=CLIENT6, dst=VIP6, nh=132) / Raw(b"x" * 32)),
        DropReason.PROTOCOL,
        *TOLD6,
    ),
]
