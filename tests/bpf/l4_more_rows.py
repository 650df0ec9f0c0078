"""Packet rows of the L4 tier beyond TCP over IPv4: IPv6, UDP, ICMP, backends in a VPC, targets that are down.

The same machine as in l4_rows.py, which also answers 2001:db8:100::10, and sends straight to 192.168.0.10 in VNI 10010.
"""

from ctypes import c_uint32

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.bpf import l4_rows as v4
from tests.packets import (
    TC_ACT_REDIRECT,
    Case,
    Entry,
    arrives,
    dropped,
    flow,
    leaves,
    passed,
    tcp,
    udp,
)
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, Owned, TargetState, TcpSeen

CLIENT6, VIP6, LADDR6, GATEWAY6 = "2001:db8:1::9", "2001:db8:100::10", "2001:db8:101::1", "2001:db8:2::11"
ROUTER, ROUTER6 = "198.51.100.1", "2001:db8:f::1"
UNDERLAY, VM, VTEP, BLUE = "10.0.0.10", "192.168.0.10", "10.1.0.31", 10010
VM_MAC, INNER_MAC = "02:00:c0:a8:00:0a", "02:75:0a:00:00:0a"
TOA6 = (254, bytes.fromhex("1072") + bytes(abi.addr(CLIENT6)))
TIMESTAMP, SYN_OPTIONS = v4.TIMESTAMP, v4.SYN_OPTIONS

MACHINE = Entry(
    "machine",
    c_uint32(0),
    abi.Machine(
        underlay=abi.addr(UNDERLAY),
        underlay_ifindex=1,
        inner_mac=abi.mac(INNER_MAC),
        laddr_count=1,
        laddr6_count=1,
        port_min=5000,
        port_max=5000,
        mtu=1500,
        toa_kind=254,
    ),
)


def service(vip: str, port: int, proto: int, ring: int) -> Entry:
    return Entry("services", abi.ServiceKey(addr=abi.addr(vip), port=port, proto=proto), abi.Service(ring=ring))


def target(index: int, address: str, port: int, **more: int) -> Entry:
    return Entry("targets", c_uint32(index), abi.Target(addr=abi.addr(address), port=port, **more))


# Ring r names target r + 1 everywhere (test_l4.py).
PUBLISHED = (
    MACHINE,
    *(Entry("owned", abi.addr(a), c_uint32(Owned.VIP)) for a in (v4.VIP, VIP6)),
    *(Entry("owned", abi.addr(a), c_uint32(Owned.LADDR)) for a in (v4.LADDR, LADDR6)),
    Entry("laddrs", c_uint32(0), abi.addr(v4.LADDR)),
    Entry("laddrs", c_uint32(1), abi.addr(LADDR6)),
    target(1, v4.GATEWAY, 80),
    target(2, GATEWAY6, 80),
    target(3, VM, 80, vni=BLUE),
    service(v4.VIP, 80, 6, 0),
    service(v4.VIP, 53, 17, 0),
    service(VIP6, 80, 6, 1),
    service(VIP6, 53, 17, 1),
    service(v4.VIP, 8080, 6, 2),
    service(v4.VIP, 5353, 17, 2),
    Entry(
        "hosts",
        abi.HostKey(addr=abi.addr(VM), vni=BLUE),
        abi.Endpoint(addr=abi.addr("100.64.0.1"), vtep=abi.addr(VTEP), vni=BLUE, mac=abi.mac(VM_MAC), mtu=1450),
    ),
    Entry("vteps", abi.VtepKey(vtep=abi.Addr(), vni=BLUE), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=abi.addr(VTEP), vni=BLUE), abi.Traffic()),
)


def session(
    forward: abi.Flow, reply: abi.Flow, seen: tuple[int, int] = (0, 0), index: int = 0, acks: tuple[int, int] = (0, 0)
) -> tuple[Entry, Entry]:
    """Return both entries; tunnels leave from port 50000."""
    common = {"tunnel_sport": 50000, "target": index}
    return (
        Entry(
            "sessions",
            forward,
            abi.Session(peer=reply, direction=Direction.FORWARD, tcp_seen=seen[0], ack=acks[0], **common),
        ),
        Entry(
            "sessions",
            reply,
            abi.Session(peer=forward, direction=Direction.REPLY, tcp_seen=seen[1], ack=acks[1], **common),
        ),
    )


SYN, DATA, PEER = TcpSeen.SYN, TcpSeen.SYN | TcpSeen.DATA, TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
FORWARD6, REPLY6 = flow(CLIENT6, 4210, VIP6, 80), flow(GATEWAY6, 80, LADDR6, 5000)
OPEN6, TOLD6 = PUBLISHED + session(FORWARD6, REPLY6, (SYN, SYN)), PUBLISHED + session(FORWARD6, REPLY6, (PEER, DATA))
TOLD4 = PUBLISHED + session(v4.FORWARD, v4.REPLY, (PEER, DATA))
WRITTEN, NEW = {Event.TOA_WRITTEN: 1}, {Event.SESSION_NEW: 1}


def from_client6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(CLIENT6, 4210, VIP6, 80, flags, **fields) / Raw(payload))


def to_gateway6(flags: str = "A", payload: bytes = b"", ttl: int = 63, **fields: object) -> Packet:
    return leaves(tcp(LADDR6, 5000, GATEWAY6, 80, flags, ttl=ttl, **fields) / Raw(payload))


def from_gateway6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(GATEWAY6, 80, LADDR6, 5000, flags, **fields) / Raw(payload))


def to_client6(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return leaves(tcp(VIP6, 80, CLIENT6, 4210, flags, ttl=63, **fields) / Raw(payload))


IPV6 = [
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

UDP_FORWARD, UDP_REPLY = flow(v4.CLIENT, 4210, v4.VIP, 53, proto=17), flow(v4.GATEWAY, 80, v4.LADDR, 5000, proto=17)
UDP_OPEN = PUBLISHED + session(UDP_FORWARD, UDP_REPLY)
UDP_ROWS = [
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


def checksum_zero_row() -> Case:
    """A datagram whose new checksum is 0 leaves with ffff (RFC 768)."""
    for probe in range(65536):
        out = udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63) / Raw(probe.to_bytes(2, "big"))
        if bytes(out)[26:28] == b"\xff\xff":
            packet = udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(probe.to_bytes(2, "big"))
            return Case("a checksum that becomes 0 is written as ffff", arrives(packet), 7, leaves(out), UDP_OPEN)
    raise AssertionError("one of 65536 payloads has this checksum")


def quoted(packet: Packet, length: int) -> Raw:
    return Raw(bytes(packet)[:length])


def error_row(
    name: str,
    icmp: Packet,
    source: str,
    quotes: Packet,
    becomes: Packet,
    to: tuple[str, str],
    length: int,
    **more: object,
) -> Case:
    """An error from `source` that quotes `length` bytes of a packet; `to`: (from, to) addresses after translation."""
    return Case(
        f"{name}, {length} bytes quoted",
        arrives(IP(src=source, dst=quotes.src) / icmp / quoted(quotes, length)),
        TC_ACT_REDIRECT,
        leaves(IP(src=to[0], dst=to[1], ttl=63) / icmp / quoted(becomes, length)),
        more.get("before", TOLD4),  # type: ignore[arg-type]
        {Event.ICMP_TRANSLATED: 1},
    )


def error6_row(name: str, icmp: Packet, quotes: Packet, becomes: Packet, to: tuple[str, str], length: int) -> Case:
    return Case(
        f"v6: {name}, {length} bytes quoted",
        arrives(IPv6(src=ROUTER6, dst=quotes.src) / icmp / quoted(quotes, length)),
        TC_ACT_REDIRECT,
        leaves(IPv6(src=to[0], dst=to[1], hlim=63) / icmp / quoted(becomes, length)),
        TOLD6,
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


FRAG_NEEDED = ICMP(type=3, code=4, nexthopmtu=1400)
ERRORS = {
    "fragmentation needed": FRAG_NEEDED,
    "host unreachable": ICMP(type=3, code=1),
    "port unreachable": ICMP(type=3, code=3),
    "time exceeded": ICMP(type=11, code=0),
    "parameter problem": ICMP(type=12, code=0),
}
ICMP_ROWS = [
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
            before=UDP_OPEN,
        )
        for chksum in (None, 0)
    ),
    *(
        error6_row(
            name,
            icmp,
            tcp(LADDR6, 5000, GATEWAY6, 80, "PA", seq=5) / Raw(b"r" * 40),
            tcp(CLIENT6, 4210, VIP6, 80, "PA", seq=5) / Raw(b"r" * 40),
            (VIP6, CLIENT6),
            length,
        )
        for name, icmp in (
            ("packet too big about a request", ICMPv6PacketTooBig(mtu=1280)),
            ("unreachable about a request", ICMPv6DestUnreach(code=4)),
            ("time exceeded about a request", ICMPv6TimeExceeded()),
        )
        for length in (48, 60, 100)
    ),
    error6_row(
        "packet too big about an answer",
        ICMPv6PacketTooBig(mtu=1280),
        tcp(VIP6, 80, CLIENT6, 4210, "A", seq=5) / Raw(b"r" * 40),
        tcp(GATEWAY6, 80, LADDR6, 5000, "A", seq=5) / Raw(b"r" * 40),
        (LADDR6, GATEWAY6),
        100,
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


def too_big(packet: Packet, mtu: int) -> Packet:
    """Return the error that a packet earns, quoting its first 64 bytes."""
    error = IP(src=packet.dst, dst=packet.src, id=0, ttl=64) / ICMP(type=3, code=4, nexthopmtu=mtu)
    return leaves(error / Raw(bytes(packet)[:64]))


SLOW = "203.0.113.99"  # the way there takes 1400 bytes
BIG_REPLY = flow(v4.GATEWAY, 80, v4.LADDR, 5000)
VPC_FORWARD, VPC_REPLY = flow(v4.CLIENT, 4210, v4.VIP, 8080), flow(VM, 80, v4.LADDR, 5000, vni=BLUE)
VPC_OPEN = PUBLISHED + session(VPC_FORWARD, VPC_REPLY, (SYN, SYN), index=3)
VPC_TOLD = PUBLISHED + session(VPC_FORWARD, VPC_REPLY, (PEER, DATA), index=3)


def tunnel(
    inner: Packet, src: str = VTEP, dst: str = UNDERLAY, macs: tuple[str, str] = (VM_MAC, INNER_MAC), **outer: int
) -> Packet:
    header = IP(src=src, dst=dst, id=0, ttl=64, flags="DF", tos=outer.get("tos", 0))
    frame = Ether(src=macs[0], dst=macs[1]) / inner
    return header / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(flags=8, vni=outer.get("vni", BLUE)) / frame


def from_client_vpc(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(v4.CLIENT, 4210, v4.VIP, 8080, flags, **fields) / Raw(payload))


def to_vm(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return tunnel(
        tcp(v4.LADDR, 5000, VM, 80, flags, ttl=63, **fields) / Raw(payload), UNDERLAY, VTEP, (INNER_MAC, VM_MAC)
    )


def from_vm(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tunnel(tcp(VM, 80, v4.LADDR, 5000, flags, **fields) / Raw(payload)))


def to_client_vpc(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return leaves(tcp(v4.VIP, 8080, v4.CLIENT, 4210, flags, ttl=63, **fields) / Raw(payload))


ENCAP, DECAP = {Event.ENCAP: 1}, {Event.DECAP: 1}
# What leaves in a tunnel has no outer MACs yet on TC and has them on XDP: run_tunnel() in test_l4.py.
TUNNEL_ROWS = [
    Case(
        "VPC: the acknowledgement carries TOA into the VNI",
        from_client_vpc("A"),
        TC_ACT_REDIRECT,
        to_vm("A", options=[v4.TOA]),
        VPC_OPEN,
        {**ENCAP, **WRITTEN},
    ),
    *(
        Case(
            f"VPC: a segment of {size} bytes leaves in the backend's VNI",
            from_client_vpc("PA", b"r" * size),
            TC_ACT_REDIRECT,
            to_vm("PA", b"r" * size),
            VPC_TOLD,
            ENCAP,
        )
        for size in (0, 1, 500, 1410)
    ),
    Case(
        "VPC: a datagram leaves in the backend's VNI",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 5353) / Raw(b"q")),
        TC_ACT_REDIRECT,
        tunnel(udp(v4.LADDR, 5000, VM, 80, ttl=63) / Raw(b"q"), UNDERLAY, VTEP, (INNER_MAC, VM_MAC)),
        PUBLISHED
        + session(flow(v4.CLIENT, 4210, v4.VIP, 5353, proto=17), flow(VM, 80, v4.LADDR, 5000, vni=BLUE, proto=17)),
        ENCAP,
    ),
]
VPC_ROWS = [
    Case("VPC: an answer goes to the client", from_vm("PA", b"ok"), 7, to_client_vpc("PA", b"ok"), VPC_TOLD, DECAP),
    Case(
        "VPC: the SYN-ACK's MSS leaves room for tunnel and TOA",
        from_vm("SA", options=[("MSS", 1460)]),
        TC_ACT_REDIRECT,
        to_client_vpc("SA", options=[("MSS", 1402)]),
        VPC_OPEN,
        DECAP,
    ),
    Case(
        "VPC: an error out of the VPC reaches the client",
        arrives(
            tunnel(
                IP(src="192.168.0.1", dst=v4.LADDR) / FRAG_NEEDED / quoted(tcp(v4.LADDR, 5000, VM, 80, "A", seq=3), 28)
            )
        ),
        TC_ACT_REDIRECT,
        leaves(
            IP(src=v4.VIP, dst=v4.CLIENT, ttl=63)
            / FRAG_NEEDED
            / quoted(tcp(v4.CLIENT, 4210, v4.VIP, 8080, "A", seq=3), 28)
        ),
        VPC_TOLD,
        {**DECAP, Event.ICMP_TRANSLATED: 1},
    ),
    Case(
        "VPC: a segment longer than the VPC's MTU earns an error",
        from_client_vpc("A", b"x" * 1411),
        TC_ACT_REDIRECT,
        too_big(tcp(v4.CLIENT, 4210, v4.VIP, 8080, "A") / Raw(b"x" * 1411), 1450),
        VPC_TOLD,
        {Event.ICMP_TOO_BIG: 1},
    ),
    Case(
        "a datagram longer than the way to the gateway earns an error",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(b"x" * 1373)),
        TC_ACT_REDIRECT,
        too_big(udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(b"x" * 1373), 1400),
        PUBLISHED + session(UDP_FORWARD, flow(SLOW, 80, v4.LADDR, 5000, proto=17)),
        {Event.ICMP_TOO_BIG: 1},
    ),
    dropped(
        "a datagram longer than the way to its client",
        arrives(udp(v4.GATEWAY, 80, v4.LADDR, 5000) / Raw(b"x" * 1373)),
        DropReason.TOO_BIG,
        *PUBLISHED,
        *session(flow(SLOW, 4210, v4.VIP, 53, proto=17), UDP_REPLY),
    ),
    dropped(
        "VPC: a backend that is gone",
        from_client_vpc("A"),
        DropReason.STALE_ENDPOINT,
        *(e for e in VPC_TOLD if e.table != "hosts"),
    ),
    dropped(
        "VPC: an unknown VNI", arrives(tunnel(tcp(VM, 80, v4.LADDR, 5000), vni=9)), DropReason.VNI_UNKNOWN, *VPC_TOLD
    ),
    dropped(
        "VPC: another VTEP",
        arrives(tunnel(tcp(VM, 80, v4.LADDR, 5000), src="10.9.9.9")),
        DropReason.VTEP_UNKNOWN,
        *VPC_TOLD,
    ),
    dropped(
        "VPC: congestion that the inner packet cannot tell",
        arrives(tunnel(tcp(VM, 80, v4.LADDR, 5000, "A"), tos=3)),
        DropReason.ECN,
        *VPC_TOLD,
    ),
    dropped(
        "VPC: a new connection out of it", arrives(tunnel(tcp(VM, 9, v4.LADDR, 22))), DropReason.NO_SESSION, *VPC_TOLD
    ),
    dropped(
        "VPC: an inner packet with TTL 1",
        arrives(tunnel(tcp(VM, 80, v4.LADDR, 5000, "A", ttl=1))),
        DropReason.TTL_EXPIRED,
        *VPC_TOLD,
    ),
]

DOWN = target(1, v4.GATEWAY, 80, state=TargetState.DOWN)
TARGET_ROWS = [
    dropped(
        "a segment of a session whose target is down",
        v4.from_client("A"),
        DropReason.TARGET_DOWN,
        *PUBLISHED,
        DOWN,
        *session(v4.FORWARD, v4.REPLY, (PEER, DATA), index=1),
    ),
    Case(
        "a session of an earlier use of the target's number goes on",
        v4.from_client("A"),
        TC_ACT_REDIRECT,
        v4.to_gateway("A"),
        (
            *PUBLISHED,
            target(1, "10.1.0.99", 80, state=TargetState.DOWN, generation=5),
            *session(v4.FORWARD, v4.REPLY, (PEER, DATA), index=1),
        ),
    ),
    Case(
        "a SYN whose session's target is down opens another session",
        v4.from_client("S"),
        TC_ACT_REDIRECT,
        v4.to_gateway("S"),
        (
            *PUBLISHED,
            target(4, "10.1.0.12", 80, state=TargetState.DOWN),
            *session(v4.FORWARD, flow("10.1.0.12", 80, v4.LADDR, 5000), (SYN, 0), index=4),
        ),
        NEW,
    ),
    Case(
        "a datagram whose session's target is down goes to another",
        arrives(udp(v4.CLIENT, 4210, v4.VIP, 53) / Raw(b"q")),
        TC_ACT_REDIRECT,
        leaves(udp(v4.LADDR, 5000, v4.GATEWAY, 80, ttl=63) / Raw(b"q")),
        (
            *PUBLISHED,
            target(4, "10.1.0.12", 80, state=TargetState.DOWN),
            *session(UDP_FORWARD, flow("10.1.0.12", 80, v4.LADDR, 5000, proto=17), index=4),
        ),
        NEW,
    ),
]

ROWS = [*IPV6, *UDP_ROWS, checksum_zero_row(), *ICMP_ROWS, *VPC_ROWS, *TARGET_ROWS]
