"""Packet rows of DSR: VIP 10.100.0.20:80 in a tunnel from the L4 node 10.0.0.10 to the gateway 10.1.0.11, and there.

Rows of the L4 node leave without Ethernet addresses where TC's bpf_redirect_neigh() writes them later.
"""

from ctypes import c_uint32

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, flow, leaves, tcp, udp
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, Forwarding, Owned, TcpSeen

CLIENT, VIP, L4, GATEWAY, OTHER = "203.0.113.9", "10.100.0.20", "10.0.0.10", "10.1.0.11", "10.2.0.12"
CLIENT6, VIP6 = "2001:db8:9::9", "2001:db8:100::20"
SPORT = 50000
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]


def target(address: str, vip: str, state: int = abi.TargetState.UP, generation: int = 0) -> abi.Target:
    return abi.Target(addr=abi.addr(address), vip=abi.addr(vip), port=80, state=state, generation=generation)


def service(vip: str, proto: int = 6, ring: int = 0) -> Entry:
    key = abi.ServiceKey(addr=abi.addr(vip), port=80, proto=proto)
    return Entry("services", key, abi.Service(ring=ring, mode=Forwarding.DSR))


MACHINE = Entry("machine", c_uint32(0), abi.Machine(underlay=abi.addr(L4), underlay_ifindex=1, mtu=1500, toa_kind=254))
# Slot r of the rings names target r + 1 everywhere; slot 7 is empty.
PUBLISHED = (
    MACHINE,
    *(Entry("owned", abi.addr(vip), c_uint32(Owned.VIP)) for vip in (VIP, VIP6)),
    *(service(vip, proto) for vip in (VIP, VIP6) for proto in (6, 17)),
    Entry("targets", c_uint32(1), target(GATEWAY, VIP)),
    Entry("targets", c_uint32(2), target(OTHER, VIP)),
)


def session(
    seen: int = TcpSeen.SYN, to: str = GATEWAY, target: int = 1, vip: str = VIP, client: str = CLIENT, proto: int = 6
) -> Entry:
    """Return the one entry of a session of this file."""
    peer = abi.Flow(saddr=abi.addr(to), sport=80, proto=proto)
    value = abi.Session(peer=peer, direction=Direction.ONLY, tcp_seen=seen, tunnel_sport=SPORT, target=target)
    return Entry("sessions", flow(client, 4210, vip, 80, proto=proto), value)


KNOWN = (*PUBLISHED, session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER))
ELSEWHERE = (*PUBLISHED, session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER, OTHER, 2))


def murmur(words: bytes) -> int:
    """The datapath's hash of a flow: what a session's outer source port is made of."""
    hashed = 0x9E3779B9
    for at in range(0, len(words), 4):
        hashed ^= int.from_bytes(words[at : at + 4], "little")
        hashed ^= hashed >> 16
        hashed = hashed * 0x85EBCA6B & 0xFFFFFFFF
        hashed ^= hashed >> 13
        hashed = hashed * 0xC2B2AE35 & 0xFFFFFFFF
    return hashed ^ hashed >> 16


def sport_of(key: abi.Flow) -> int:
    return 49152 + (murmur(bytes(key)) & 0x3FFF)


HASHED = sport_of(flow(CLIENT, 4210, VIP, 80))
SENT = {Event.DSR_SENT: 1}
NEW = {Event.DSR_SENT: 1, Event.SESSION_NEW: 1}
ALONE = {Event.DSR_SENT: 1, Event.RING_ONLY: 1}


def gue(inner: Packet, to: str = GATEWAY, sport: int = SPORT, tos: int = 0, src: str = L4) -> Packet:
    """Return the packet in the tunnel, as Linux's fou device would send it but for the UDP checksum."""
    # `id` 0 and DF: an atomic datagram (RFC 6864).
    return IP(src=src, dst=to, ttl=64, tos=tos, id=0, flags="DF") / UDP(sport=sport, dport=6080, chksum=0) / inner


def tunnelled(inner: Packet, to: str = GATEWAY, sport: int = SPORT, tos: int = 0) -> Packet:
    return gue(inner, to, sport, tos)


def client(flags: str = "A", payload: bytes = b"", ttl: int = 64, vip: str = VIP, **fields: object) -> Packet:
    src = CLIENT6 if ":" in vip else CLIENT
    return tcp(src, 4210, vip, 80, flags, ttl=ttl, **fields) / Raw(payload)


def row(
    name: str, flags: str, before: tuple[Entry, ...], counters: dict[Event, int], to: str = GATEWAY, **how: object
) -> Case:
    """Return a row of a client's TCP packet that goes to `to`; `sport`: the tunnel's."""
    sport = how.pop("sport", SPORT)
    tos = how.get("tos", 0)
    out = client(flags, ttl=63, **how)  # type: ignore[arg-type]
    expected = tunnelled(out, to, sport, tos & 3)  # type: ignore[arg-type,operator]
    return Case(name, arrives(client(flags, **how)), TC_ACT_REDIRECT, expected, before, dict(counters))  # type: ignore[arg-type]


def error_about(src: str, dst: str, sport: int = 80, dport: int = 4210, ttl: int = 64) -> Packet:
    """A router's "fragmentation needed" about what the VIP had sent."""
    quote = IP(src=src, dst=dst, ttl=60) / udp(src, sport, dst, dport).payload
    quote = IP(bytes(IP(src=src, dst=dst, ttl=60, proto=6, len=1500) / bytes(tcp(src, sport, dst, dport, "A")[1])))
    return IP(src="198.51.100.1", dst=src, ttl=ttl) / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(bytes(quote)[:28])


def error6_about(src: str, dst: str, ttl: int = 64) -> Packet:
    quote = IPv6(src=src, dst=dst, plen=1400, nh=6) / bytes(tcp(src, 80, dst, 4210, "A")[1])
    return IPv6(src="2001:db8:5::1", dst=src, hlim=ttl) / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(quote))


def datagram(vip: str = VIP, ttl: int = 64, payload: bytes = b"query") -> Packet:
    return udp(CLIENT6 if ":" in vip else CLIENT, 4210, vip, 80, ttl=ttl) / Raw(payload)


TO_TARGET = [
    row("the first SYN opens a session and goes unchanged but for its TTL", "S", PUBLISHED, NEW, sport=HASHED),
    row("its options stay", "S", PUBLISHED, NEW, sport=HASHED, options=SYN_OPTIONS),
    row("a segment of a session goes where that says", "A", KNOWN, SENT),
    row("not where the ring says", "A", ELSEWHERE, SENT, OTHER),
    row("nor does a retransmitted SYN", "S", (*PUBLISHED, session(TcpSeen.SYN, OTHER, 2)), SENT, OTHER),
    row("a segment without a session goes by the ring: another L4 node had it", "A", PUBLISHED, ALONE, sport=HASHED),
    row("so does a FIN", "FA", PUBLISHED, ALONE, sport=HASHED),
    row("and a RST", "R", PUBLISHED, ALONE, sport=HASHED),
    row(
        "a SYN over a session that said FIN is steered anew",
        "S",
        (*PUBLISHED, session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.FIN, OTHER, 2)),
        {**NEW, Event.SESSION_REOPENED: 1},
        sport=HASHED,
    ),
    *(
        row(f"payload of {size} bytes is whole", "PA", KNOWN, SENT, payload=bytes(i & 0xFF for i in range(size)))
        for size in (1, 2, 51, 100, 999, 1432)
    ),
    *(row(f"ECN {ecn} is told outside, DSCP is not", "A", KNOWN, SENT, tos=0xB8 | ecn) for ecn in range(4)),
    Case(
        "a TTL of 2 leaves with 1 inside",
        arrives(client("A", ttl=2)),
        TC_ACT_REDIRECT,
        tunnelled(client("A", ttl=1)),
        KNOWN,
        dict(SENT),
    ),
    Case(
        "a datagram opens a session",
        arrives(datagram()),
        TC_ACT_REDIRECT,
        tunnelled(datagram(ttl=63), sport=sport_of(flow(CLIENT, 4210, VIP, 80, proto=17))),
        PUBLISHED,
        NEW,
    ),
    Case(
        "the next one follows it",
        arrives(datagram()),
        TC_ACT_REDIRECT,
        tunnelled(datagram(ttl=63), OTHER),
        (*PUBLISHED, session(TcpSeen.DATA, OTHER, 2, proto=17)),
        SENT,
    ),
    Case(
        "a datagram to a target that is down is steered anew",
        arrives(datagram()),
        TC_ACT_REDIRECT,
        tunnelled(datagram(ttl=63), sport=sport_of(flow(CLIENT, 4210, VIP, 80, proto=17))),
        (
            *PUBLISHED,
            Entry("targets", c_uint32(2), target(OTHER, VIP, abi.TargetState.DOWN)),
            session(TcpSeen.DATA, OTHER, 2, proto=17),
        ),
        NEW,
    ),
    Case(
        "an IPv6 client's SYN goes in the same tunnel",
        arrives(client("S", vip=VIP6)),
        TC_ACT_REDIRECT,
        tunnelled(client("S", vip=VIP6, ttl=63), sport=sport_of(flow(CLIENT6, 4210, VIP6, 80))),
        PUBLISHED,
        NEW,
    ),
    Case(
        "an IPv6 segment without a session goes by the ring",
        arrives(client("PA", b"GET / HTTP/1.1\r\n", vip=VIP6)),
        TC_ACT_REDIRECT,
        tunnelled(client("PA", b"GET / HTTP/1.1\r\n", vip=VIP6, ttl=63), sport=sport_of(flow(CLIENT6, 4210, VIP6, 80))),
        PUBLISHED,
        ALONE,
    ),
    Case(
        "an IPv6 datagram follows its session",
        arrives(datagram(VIP6)),
        TC_ACT_REDIRECT,
        tunnelled(datagram(VIP6, ttl=63), OTHER),
        (*PUBLISHED, session(TcpSeen.DATA, OTHER, 2, VIP6, CLIENT6, 17)),
        SENT,
    ),
    Case(
        "an error about what the target sent goes to the session's target",
        arrives(error_about(VIP, CLIENT)),
        TC_ACT_REDIRECT,
        tunnelled(
            error_about(VIP, CLIENT, ttl=63),
            OTHER,
            sport=sport_of(flow("198.51.100.1", 0, VIP, 0, proto=1)),
        ),
        ELSEWHERE,
        SENT,
    ),
    Case(
        "without a session to the ring's",
        arrives(error_about(VIP, CLIENT)),
        TC_ACT_REDIRECT,
        tunnelled(error_about(VIP, CLIENT, ttl=63), sport=sport_of(flow("198.51.100.1", 0, VIP, 0, proto=1))),
        PUBLISHED,
        SENT,
    ),
    Case(
        "an IPv6 error likewise",
        arrives(error6_about(VIP6, CLIENT6)),
        TC_ACT_REDIRECT,
        tunnelled(error6_about(VIP6, CLIENT6, ttl=63), sport=sport_of(flow("2001:db8:5::1", 0, VIP6, 0, proto=58))),
        PUBLISHED,
        SENT,
    ),
]

FULL = Raw(b"x" * 1433)
DOWN = (
    *PUBLISHED,
    Entry("targets", c_uint32(2), target(OTHER, VIP, abi.TargetState.DOWN)),
    session(TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER, OTHER, 2),
)


def too_big(mtu: int) -> Case:
    """A segment one byte longer than the tunnel takes."""
    packet = tcp(CLIENT, 4210, VIP, 80, "A", id=7) / FULL
    quote = bytes(IP(bytes(packet)))[:64]
    # scapy fills the header in: 64 bytes of the packet as it came.
    error = IP(src=VIP, dst=CLIENT, ttl=64, id=0) / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(quote)
    counters: dict[DropReason | Event, int] = {Event.ICMP_TOO_BIG: 1}
    return Case(
        "a segment too long for the tunnel is told so", arrives(packet), TC_ACT_REDIRECT, leaves(error), KNOWN, counters
    )


AT_L4 = [
    too_big(1472),
    dropped("a segment to a target that is down", arrives(client("A")), DropReason.TARGET_DOWN, *DOWN),
    dropped("a TTL of 1", arrives(client("A", ttl=1)), DropReason.TTL_EXPIRED, *KNOWN),
    dropped(
        "a fragment",
        arrives(IP(src=CLIENT, dst=VIP, flags="MF", proto=6) / Raw(b"x" * 40)),
        DropReason.FRAGMENT,
        *KNOWN,
    ),
    dropped(
        "an empty ring",
        arrives(client("A")),
        DropReason.NO_TARGET,
        *PUBLISHED,
        service(VIP, ring=7),
    ),
    dropped(
        "an error that quotes somebody else's packet",
        arrives(
            IP(src="198.51.100.1", dst=VIP) / ICMP(type=3, code=4) / Raw(bytes(error_about("10.100.0.21", CLIENT)[2]))
        ),
        DropReason.ICMP_QUOTE,
        *KNOWN,
    ),
]

GATEWAY_MACHINE = abi.Machine(underlay=abi.addr(L4), underlay_ifindex=1, mtu=1500)
NODE = "10.0.0.77"  # the L4 node, as the gateway of these rows, 10.0.0.10, sees it
TAKES = (
    Entry("machine", c_uint32(0), GATEWAY_MACHINE),
    *(Entry("owned", abi.addr(vip), c_uint32(Owned.DSR)) for vip in (VIP, VIP6)),
    Entry("vteps", abi.VtepKey(vni=abi.DSR_VNI), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=abi.addr(NODE), vni=abi.DSR_VNI), abi.Traffic()),
)
TAKEN = {Event.DSR_TAKEN: 1}


def comes(inner: Packet, tos: int = 0, src: str = NODE, sport: int = SPORT) -> Ether:
    return arrives(gue(inner, L4, sport, tos, src))


def taken(name: str, inner: Packet, out: Packet | None = None, tos: int = 0) -> Case:
    return Case(name, comes(inner, tos), TC_ACT_REDIRECT, arrives(inner if out is None else out), TAKES, dict(TAKEN))


AT_GATEWAY = [
    *(taken(f"a {flags} comes out as it went in", client(flags, b"GET /")) for flags in ("S", "A", "PA", "FA", "R")),
    *(taken(f"{size} bytes come out whole", client("PA", b"x" * size)) for size in (0, 1, 5, 6, 7, 100, 1432)),
    taken("an IPv6 packet comes out under its own type", client("PA", b"GET / HTTP/1.1\r\n", vip=VIP6)),
    taken("a datagram", datagram()),
    taken("an IPv6 datagram", datagram(VIP6)),
    taken("an error about what this gateway had sent", error_about(VIP, CLIENT)),
    taken("an IPv6 error", error6_about(VIP6, CLIENT6)),
    taken("congestion marked outside is told inside", client("A", tos=1), client("A", tos=3), tos=3),
    taken(
        "congestion marked outside is told inside IPv6",
        client("A", vip=VIP6, tos=2),
        client("A", vip=VIP6, tos=3),
        tos=3,
    ),
    dropped("congestion that cannot be told", comes(client("A"), tos=3), DropReason.ECN, *TAKES),
    dropped("a tunnel from who is no L4 node", comes(client("A"), src="10.0.0.78"), DropReason.VTEP_UNKNOWN, *TAKES),
    dropped("a tunnel where no VIP is DSR", comes(client("A")), DropReason.VNI_UNKNOWN, TAKES[0]),
    dropped(
        "a packet for an address that is no DSR VIP", comes(tcp(CLIENT, 1, L4, 22, "S")), DropReason.NO_SERVICE, *TAKES
    ),
    dropped(
        "a header of variant 0",
        arrives(gue(Raw(b"\x00\x04\0\0" + b"x" * 60), L4, src=NODE)),
        DropReason.MALFORMED,
        *TAKES,
    ),
    dropped("a tunnel that carries nothing", arrives(gue(Raw(b""), L4, src=NODE)), DropReason.MALFORMED, *TAKES),
    dropped(
        "half an IP header", arrives(gue(Raw(bytes(client("A"))[:12]), L4, src=NODE)), DropReason.MALFORMED, *TAKES
    ),
    dropped(
        "a fragment inside",
        comes(IP(src=CLIENT, dst=VIP, flags="MF", proto=6) / Raw(b"x" * 40)),
        DropReason.FRAGMENT,
        *TAKES,
    ),
    dropped(
        "a tunnel in a tunnel",
        comes(gue(client("A"), L4, src=NODE)),
        DropReason.NO_SERVICE,
        *TAKES,
    ),
]


def answer(flags: str, mss: int, vip: str = VIP, sport: int = 80) -> Ether:
    dst = CLIENT6 if ":" in vip else CLIENT
    options = [("MSS", mss), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
    return leaves(tcp(vip, sport, dst, 4210, flags, options=options))


def offered(name: str, flags: str, mss: int, expected: int, vip: str = VIP) -> Case:
    return Case(name, answer(flags, mss, vip), 0, answer(flags, expected, vip), TAKES, {})


ANSWERS = [
    offered("a SYN-ACK offers no longer segments than the tunnel takes", "SA", 1460, 1432),
    offered("an IPv6 one likewise", "SA", 1440, 1412, VIP6),
    offered("a smaller offer stays", "SA", 1000, 1000),
    offered("a SYN is nobody's answer", "S", 1460, 1460),
    offered("other addresses' answers stay", "SA", 1460, 1460, L4),
]
