"""Packet rows of the L4 tier: ICMP errors translated, pings, and what is refused of both."""

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded
from scapy.packet import Packet, Raw

from tests.bpf import l4_rows as v4
from tests.bpf.l4_machine import (
    CLIENT6,
    FRAG_NEEDED,
    GATEWAY6,
    LADDR6,
    PUBLISHED,
    ROUTER,
    ROUTER6,
    TOLD4,
    TOLD6,
    UDP_OPEN,
    UNDERLAY,
    VIP6,
    quoted,
)
from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, ip, leaves, passed, tcp, udp
from userspace.node.abi import DropReason, Event


def error_row(
    name: str,
    icmp: Packet,
    source: str,
    quotes: Packet,
    becomes: Packet,
    to: tuple[str, str],
    length: int,
    before: tuple[Entry, ...] = TOLD4,
) -> Case:
    """An error from `source` that quotes `length` bytes of a packet; `to`: (from, to) addresses after translation."""
    return Case(
        f"{name}, {length} bytes quoted",
        arrives(ip(source, quotes.src) / icmp / quoted(quotes, length)),
        TC_ACT_REDIRECT,
        leaves(ip(*to, ttl=63) / icmp / quoted(becomes, length)),
        before,
        {Event.ICMP_TRANSLATED: 1},
    )


def answer(payload: bytes = b"answer", **fields: object) -> Packet:
    return tcp(v4.VIP, 80, v4.CLIENT, 4210, "PA", seq=77, ttl=50, **fields) / Raw(payload)


def answer_within(payload: bytes = b"answer", **fields: object) -> Packet:
    return tcp(v4.GATEWAY, 80, v4.LADDR, 5000, "PA", seq=77, ttl=50, **fields) / Raw(payload)


def request() -> Packet:
    return tcp(v4.LADDR, 5000, v4.GATEWAY, 80, "PA", seq=78, ttl=50) / Raw(b"request")


def request_within() -> Packet:
    return tcp(v4.CLIENT, 4210, v4.VIP, 80, "PA", seq=78, ttl=50) / Raw(b"request")


ERRORS = {
    "fragmentation needed": FRAG_NEEDED,
    "host unreachable": ICMP(type=3, code=1),
    "port unreachable": ICMP(type=3, code=3),
    "time exceeded": ICMP(type=11, code=0),
    "parameter problem": ICMP(type=12, code=0),
}
ROWS = [
    *(
        error_row(
            f"{name} about an answer reaches the gateway",
            icmp,
            ROUTER,
            answer(),
            answer_within(),
            (v4.LADDR, v4.GATEWAY),
            length,
        )
        for name, icmp in ERRORS.items()
        for length in (28, 46)
    ),
    *(
        error_row(
            f"{name} about a request reaches the client",
            icmp,
            "10.1.0.1",
            request(),
            request_within(),
            (v4.VIP, v4.CLIENT),
            length,
        )
        for name, icmp in ERRORS.items()
        for length in (28, 47)
    ),
    *(
        error_row(
            "port unreachable about a datagram",
            ICMP(type=3, code=3),
            v4.CLIENT,
            udp(v4.VIP, 53, v4.CLIENT, 4210, chksum=chksum) / Raw(b"a"),
            udp(v4.GATEWAY, 80, v4.LADDR, 5000, chksum=chksum) / Raw(b"a"),
            (v4.LADDR, v4.GATEWAY),
            29,
            UDP_OPEN,
        )
        for chksum in (None, 0)
    ),
    *(
        error_row(
            f"v6: {name}",
            icmp,
            ROUTER6,
            tcp(LADDR6, 5000, GATEWAY6, 80, "PA", seq=5) / Raw(b"r" * 40),
            tcp(CLIENT6, 4210, VIP6, 80, "PA", seq=5) / Raw(b"r" * 40),
            (VIP6, CLIENT6),
            length,
            TOLD6,
        )
        for name, icmp in (
            ("packet too big about a request", ICMPv6PacketTooBig(mtu=1280)),
            ("unreachable about a request", ICMPv6DestUnreach(code=4)),
            ("time exceeded about a request", ICMPv6TimeExceeded()),
        )
        for length in (48, 60, 100)
    ),
    error_row(
        "v6: packet too big about an answer",
        ICMPv6PacketTooBig(mtu=1280),
        ROUTER6,
        tcp(VIP6, 80, CLIENT6, 4210, "A", seq=5) / Raw(b"r" * 40),
        tcp(GATEWAY6, 80, LADDR6, 5000, "A", seq=5) / Raw(b"r" * 40),
        (LADDR6, GATEWAY6),
        100,
        TOLD6,
    ),
    Case(
        "a VIP answers a ping",
        arrives(IP(src=v4.CLIENT, dst=v4.VIP) / ICMP(id=7, seq=3) / Raw(b"ping")),
        TC_ACT_REDIRECT,
        leaves(IP(src=v4.VIP, dst=v4.CLIENT, ttl=64) / ICMP(type=0, id=7, seq=3) / Raw(b"ping")),
        PUBLISHED,
        {Event.ECHO: 1},
    ),
    Case(
        "a ping whose checksum carries is answered with the right one",
        arrives(IP(src=v4.CLIENT, dst=v4.VIP) / ICMP(id=0xF7FF, seq=0) / Raw(b"")),
        TC_ACT_REDIRECT,
        leaves(IP(src=v4.VIP, dst=v4.CLIENT, ttl=64) / ICMP(type=0, id=0xF7FF, seq=0) / Raw(b"")),
        PUBLISHED,
        {Event.ECHO: 1},
    ),
    dropped(
        "an error about nobody's packet",
        arrives(IP(src=ROUTER, dst=v4.VIP) / FRAG_NEEDED / quoted(answer(), 28)),
        DropReason.NO_SESSION,
        *PUBLISHED,
    ),
    dropped(
        "an error whose quote another address had sent",
        arrives(IP(src=ROUTER, dst=v4.VIP) / FRAG_NEEDED / quoted(request(), 28)),
        DropReason.ICMP_QUOTE,
        *TOLD4,
    ),
    *(
        dropped(
            f"an error that quotes {length} bytes",
            arrives(IP(src=ROUTER, dst=v4.VIP) / FRAG_NEEDED / quoted(answer(), length)),
            DropReason.ICMP_QUOTE,
            *TOLD4,
        )
        for length in (0, 19, 20, 27)
    ),
    dropped(
        "an error that quotes a later fragment",
        arrives(IP(src=ROUTER, dst=v4.VIP) / FRAG_NEEDED / quoted(answer(frag=1), 28)),
        DropReason.ICMP_QUOTE,
        *TOLD4,
    ),
    dropped(
        "an error that quotes another protocol",
        arrives(
            IP(src=ROUTER, dst=v4.VIP)
            / FRAG_NEEDED
            / quoted(IP(src=v4.VIP, dst=v4.CLIENT, proto=47) / Raw(b"x" * 8), 28)
        ),
        DropReason.ICMP_QUOTE,
        *TOLD4,
    ),
    dropped(
        "an error with TTL 1",
        arrives(IP(src=ROUTER, dst=v4.VIP, ttl=1) / FRAG_NEEDED / quoted(answer(), 28)),
        DropReason.TTL_EXPIRED,
        *TOLD4,
    ),
    dropped(
        "a redirect", arrives(IP(src=ROUTER, dst=v4.VIP) / ICMP(type=5) / Raw(b"x" * 28)), DropReason.PROTOCOL, *TOLD4
    ),
    dropped("a timestamp request", arrives(IP(src=ROUTER, dst=v4.VIP) / ICMP(type=13)), DropReason.PROTOCOL, *TOLD4),
    dropped("a ping's answer", arrives(IP(src=v4.CLIENT, dst=v4.VIP) / ICMP(type=0)), DropReason.NO_SESSION, *TOLD4),
    dropped(
        "a ping of a local address", arrives(IP(src=v4.CLIENT, dst=v4.LADDR) / ICMP()), DropReason.NO_SESSION, *TOLD4
    ),
    dropped(
        "an ICMP header cut off",
        arrives(IP(src=v4.CLIENT, dst=v4.VIP, proto=1) / Raw(b"\x08\0\0")),
        DropReason.MALFORMED,
        *TOLD4,
    ),
    passed("a ping of another address", arrives(IP(src=v4.CLIENT, dst=UNDERLAY) / ICMP()), *PUBLISHED),
]
