"""Packet rows with IPv6 outside, inside, or both: a gateway's way into a VNI and back, and an L4 node's.

The gateway of gateway_rows.py has an underlay address and a local address of IPv6 too. Each `Way` is one pair of
families: what the VM speaks, and what its VTEP does.
"""

from ctypes import c_uint32
from dataclasses import dataclass, field

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.bpf.gateway_rows import (
    BLUE,
    DECAP,
    ENCAP,
    GREEN,
    INNER_MAC,
    SYN_OPTIONS,
    TIMESTAMP,
    TUNNEL_SPORT,
    VM_MAC,
    VPC_MAC,
)
from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, flow, ip, passed, path_mtu, tcp, udp
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, TcpSeen

UNDERLAY, UNDERLAY6, VTEP, VTEP6 = "10.0.0.10", "2001:db8::10", "10.1.0.31", "2001:db8:1::31"
LADDRS = ("198.18.1.1", "fd00:18:1::1")
WORKERS, UNIQUES = ("10.0.0.10", "fd64::ffff"), ("100.64.0.1", "fd64::1")
VMS = ("192.168.0.10", "fd00:a::10")
TRANSLATED = {Event.ICMP_TRANSLATED: 1}

MACHINE = abi.Machine(
    underlay=abi.addr(UNDERLAY),
    underlay6=abi.addr(UNDERLAY6),
    underlay_ifindex=1,
    vpc_ifindex=1,
    vpc_mac=abi.mac(VPC_MAC),
    inner_mac=abi.mac(INNER_MAC),
    laddr_count=1,
    laddr6_count=1,
    port_min=6000,
    port_max=6000,
    mtu=1500,
)


@dataclass(frozen=True)
class Way:
    """is6: the VM's family. vtep: of its host. extra: what the tunnel adds to a packet."""

    name: str
    is6: bool
    vtep: str
    worker: str = field(init=False)
    unique: str = field(init=False)
    vm: str = field(init=False)
    laddr: str = field(init=False)

    def __post_init__(self) -> None:
        for name, pair in (("worker", WORKERS), ("unique", UNIQUES), ("vm", VMS), ("laddr", LADDRS)):
            object.__setattr__(self, name, pair[self.is6])

    @property
    def extra(self) -> int:
        return 70 if ":" in self.vtep else 50

    @property
    def here(self) -> str:
        return UNDERLAY6 if ":" in self.vtep else UNDERLAY

    @property
    def ping(self) -> int:
        return 58 if self.is6 else 1


WAYS = (Way("IPv4 over IPv6", False, VTEP6), Way("IPv6 over IPv6", True, VTEP6), Way("IPv6 over IPv4", True, VTEP))


def vpc(way: Way, mtu: int = 1430) -> tuple[Entry, ...]:
    endpoint = abi.Endpoint(addr=abi.addr(way.vm), vtep=abi.addr(way.vtep), vni=BLUE, mac=abi.mac(VM_MAC), mtu=mtu)
    return (
        Entry("machine", c_uint32(0), MACHINE),
        *(Entry("laddrs", c_uint32(i), abi.addr(laddr)) for i, laddr in enumerate(LADDRS)),
        Entry("endpoints", abi.addr(way.unique), endpoint),
        *(
            Entry("vteps", abi.VtepKey(vtep=vtep, vni=vni), abi.Traffic())
            for vni, vtep in (
                (BLUE, abi.Addr()),
                (BLUE, abi.addr(way.vtep)),
                (GREEN, abi.Addr()),
                (GREEN, abi.addr("2001:db8:2::32")),
            )
        ),
    )


def session(way: Way, proto: int, there: tuple[int, int], back: tuple[int, int]) -> tuple[Entry, Entry]:
    """Return both entries of a session of `proto`; (source, destination) ports each way."""
    forward = flow(way.worker, there[0], way.unique, there[1], proto=proto)
    reply = flow(way.vm, back[0], way.laddr, back[1], vni=BLUE, proto=proto)
    seen = TcpSeen.SYN if proto == 6 else TcpSeen(0)
    return tuple(  # type: ignore[return-value]
        Entry("sessions", key, abi.Session(peer=peer, direction=way_, tcp_seen=seen, tunnel_sport=TUNNEL_SPORT))
        for key, peer, way_ in ((forward, reply, Direction.FORWARD), (reply, forward, Direction.REPLY))
    )


def open_tcp(way: Way) -> tuple[Entry, ...]:
    return vpc(way) + session(way, 6, (40000, 80), (80, 6000))


def open_udp(way: Way) -> tuple[Entry, ...]:
    return vpc(way) + session(way, 17, (40000, 53), (53, 6000))


def open_ping(way: Way) -> tuple[Entry, ...]:
    return vpc(way) + session(way, way.ping, (77, 0), (0, 6000))


def label(sport: int) -> int:
    """Return the outer flow label of a session by its source port."""
    return (sport * 0x9E3779B1 & 0xFFFFFFFF) >> 12


def tunnel(inner: Packet, src: str, dst: str, macs: tuple[str, str], **outer: int) -> Packet:
    """Return a frame in a VXLAN packet, without the outer Ethernet header: see Case. scapy sums up UDP over IPv6."""
    sport, tos = outer.get("sport", TUNNEL_SPORT), outer.get("tos", 0)
    if ":" in src:
        header = IPv6(src=src, dst=dst, hlim=64, tc=tos, fl=outer.get("label", label(sport)))
        ports = UDP(sport=sport, dport=outer.get("dport", 4789), chksum=outer.get("chksum"))
    else:
        header = IP(src=src, dst=dst, id=0, ttl=64, tos=tos, flags="DF")
        ports = UDP(sport=sport, dport=outer.get("dport", 4789), chksum=0)
    vxlan = VXLAN(flags=outer.get("flags", 8), vni=outer.get("vni", BLUE))
    vxlan.reserved2 = outer.get("reserved2", 0)
    return header / ports / vxlan / Ether(src=macs[0], dst=macs[1]) / inner


def to_vm(way: Way, inner: Packet, **outer: int) -> Packet:
    return tunnel(inner, way.here, way.vtep, (INNER_MAC, VM_MAC), **outer)


def from_vm(way: Way, inner: Packet, src: str = "", dst: str = "", mac: str = INNER_MAC, **outer: int) -> Packet:
    """Return what a VTEP sends: no flow label, and the checksum that Linux's vxlan device writes."""
    return arrives(tunnel(inner, src or way.vtep, dst or way.here, (VM_MAC, mac), **{"label": 0, **outer}))


def to_worker(packet: Packet) -> Packet:
    return Ether(src=INNER_MAC, dst=VPC_MAC) / packet


def out(way: Way, flags: str = "A", payload: bytes = b"", **fields: object) -> tuple[Packet, Packet]:
    """Return a segment as the socket sends it and as it leaves within the VNI."""
    return (
        tcp(way.worker, 40000, way.unique, 80, flags, **fields) / Raw(payload),
        tcp(way.laddr, 6000, way.vm, 80, flags, **fields) / Raw(payload),
    )


def back(way: Way, flags: str = "A", payload: bytes = b"", **fields: object) -> tuple[Packet, Packet]:
    """Return a segment as the VM sends it and as the socket gets it."""
    return (
        tcp(way.vm, 80, way.laddr, 6000, flags, **fields) / Raw(payload),
        tcp(way.unique, 80, way.worker, 40000, flags, **fields) / Raw(payload),
    )


def echo(way: Way, src: str, dst: str, id: int, reply: bool = False) -> Packet:
    if way.is6:
        kind = ICMPv6EchoReply if reply else ICMPv6EchoRequest
        return ip(src, dst) / kind(id=id, seq=4, data=b"ping")
    return ip(src, dst) / ICMP(type=0 if reply else 8, id=id, seq=4) / Raw(b"ping")


def leaves_in(way: Way, name: str, packets: tuple[Packet, Packet], before: tuple[Entry, ...], **more: object) -> Case:
    counters = {**ENCAP, **more.pop("counters", {})}  # type: ignore[dict-item]
    sent = to_vm(way, packets[1], **more)  # type: ignore[arg-type]
    return Case(f"{way.name}: {name}", arrives(packets[0]), TC_ACT_REDIRECT, sent, before, counters)


def comes_from(way: Way, name: str, packets: tuple[Packet, Packet], before: tuple[Entry, ...], **more: object) -> Case:
    counters = {**DECAP, **more.pop("counters", {})}  # type: ignore[dict-item]
    got = from_vm(way, packets[0], **more)  # type: ignore[arg-type]
    return Case(f"{way.name}: {name}", got, TC_ACT_REDIRECT, to_worker(packets[1]), before, counters)


def too_big(way: Way, packet: Packet, mtu: int) -> Packet:
    """Return the error that the socket gets about its packet, quoting 64 bytes."""
    quote = Raw(bytes(packet)[:64])
    if way.is6:
        return to_worker(IPv6(src=way.unique, dst=way.worker, hlim=64) / ICMPv6PacketTooBig(mtu=mtu) / quote)
    return to_worker(IP(src=way.unique, dst=way.worker, id=0) / ICMP(type=3, code=4, nexthopmtu=mtu) / quote)


def unreachable(way: Way, quote: Packet, src: str, dst: str, length: int) -> Packet:
    icmp = ICMPv6DestUnreach(code=4) if way.is6 else ICMP(type=3, code=3)
    return ip(src, dst) / icmp / Raw(bytes(quote)[:length])


def egress(way: Way) -> list[Case]:
    """What a local socket sends."""
    long = out(way, "A", b"x" * 1391 if not way.is6 else b"x" * 1371)[0]
    late, late_within = (
        udp(*ends) / Raw(b"late") for ends in ((way.unique, 53, way.worker, 40000), (way.vm, 53, way.laddr, 6000))
    )
    query = (udp(way.worker, 40000, way.unique, 53), udp(way.laddr, 6000, way.vm, 53))
    silent = tuple(packet.copy() for packet in query)
    for packet in silent:
        packet[UDP].chksum = 0
    quote = 48 if way.is6 else 28
    return [
        *(
            leaves_in(way, f"a segment of {size} bytes", out(way, "PA", b"r" * size, options=TIMESTAMP), open_tcp(way))
            for size in (0, 1, 2, 501, 1358)
        ),
        leaves_in(way, "a SYN-ACK's options", out(way, "SA", options=SYN_OPTIONS), open_tcp(way)),
        leaves_in(way, "a FIN", out(way, "FA"), open_tcp(way)),
        leaves_in(way, "a segment whose bytes are all ones", out(way, "PA", b"\xff" * 40), open_tcp(way)),
        *(
            leaves_in(way, f"ECN {ecn} is copied, DSCP is not", out(way, tos=0xB8 | ecn), open_tcp(way), tos=ecn)
            for ecn in range(4)
        ),
        *(
            leaves_in(
                way,
                f"a datagram of {size} bytes",
                (query[0] / Raw(b"q" * size), query[1] / Raw(b"q" * size)),
                open_udp(way),
            )
            for size in (0, 1, 300)
        ),
        *(
            leaves_in(
                way,
                f"a datagram of {size} bytes without a checksum",
                (
                    silent[0] / Raw(b"\xa5q" * (size // 2) + b"x" * (size % 2)),
                    silent[1] / Raw(b"\xa5q" * (size // 2) + b"x" * (size % 2)),
                ),
                open_udp(way),
            )
            for size in (0, 1, 92, 100, 101, 228, 1300)
        ),
        leaves_in(
            way,
            "a ping",
            (echo(way, way.worker, way.unique, 77), echo(way, way.laddr, way.vm, 6000)),
            open_ping(way),
        ),
        leaves_in(
            way,
            "a socket's 'port unreachable'",
            (
                unreachable(way, late, way.worker, way.unique, quote + 4),
                unreachable(way, late_within, way.laddr, way.vm, quote + 4),
            ),
            open_udp(way),
            counters=TRANSLATED,
            sport=49152,
        ),
        Case(
            f"{way.name}: a segment longer than the endpoint's MTU earns an error",
            arrives(long),
            TC_ACT_REDIRECT,
            too_big(way, long, 1430),
            open_tcp(way),
            {Event.ICMP_TOO_BIG: 1},
        ),
        Case(
            f"{way.name}: one longer than the way to the VTEP earns one too",
            arrives(long),
            TC_ACT_REDIRECT,
            too_big(way, long, 1400 - way.extra),
            (*open_tcp(way), path_mtu(way.vtep, 1400)),
            {Event.ICMP_TOO_BIG: 1},
        ),
        dropped(f"{way.name}: a segment without a session", arrives(out(way)[0]), DropReason.NO_SESSION, *vpc(way)),
        dropped(
            f"{way.name}: an unknown unique IP",
            arrives(tcp(way.worker, 40000, way.unique + "9", 80)),
            DropReason.NO_ENDPOINT,
            *vpc(way),
        ),
        dropped(
            f"{way.name}: an endpoint that is another's now",
            arrives(out(way)[0]),
            DropReason.STALE_ENDPOINT,
            *open_tcp(way),
            Entry("endpoints", abi.addr(way.unique), abi.Endpoint(addr=abi.addr(way.vm), vni=GREEN, mtu=1430)),
        ),
    ]


def ingress(way: Way) -> list[Case]:
    """What a VM sends."""
    sent, sent_within = (
        tcp(*ends, "PA", seq=900, ttl=9) / Raw(b"request")
        for ends in ((way.worker, 40000, way.unique, 80), (way.laddr, 6000, way.vm, 80))
    )
    errors = (
        {
            "packet too big": ICMPv6PacketTooBig(mtu=1280),
            "unreachable": ICMPv6DestUnreach(code=1),
            "time exceeded": ICMPv6TimeExceeded(),
        }
        if way.is6
        else {
            "fragmentation needed": ICMP(type=3, code=4, nexthopmtu=1300),
            "unreachable": ICMP(type=3, code=1),
            "time exceeded": ICMP(type=11),
        }
    )
    router, head = ("fd00:a::1", 40) if way.is6 else ("192.168.0.1", 20)
    answer = tuple(
        udp(*ends) / Raw(b"answer") for ends in ((way.vm, 53, way.laddr, 6000), (way.unique, 53, way.worker, 40000))
    )
    foreign = "2001:db8:2::32" if ":" in way.vtep else "10.2.0.32"
    ok = back(way)[0]
    return [
        *(
            comes_from(
                way, f"an answer of {size} bytes", back(way, "PA", b"a" * size, options=TIMESTAMP), open_tcp(way)
            )
            for size in (0, 1, 99, 1358)
        ),
        comes_from(way, "the VM's SYN-ACK", back(way, "SA", options=SYN_OPTIONS, seq=9, ack=2), open_tcp(way)),
        comes_from(way, "an answer without an outer checksum", back(way, "PA", b"ok"), open_tcp(way), chksum=0),
        comes_from(way, "any source port will do", back(way), open_tcp(way), sport=1),
        comes_from(way, "a datagram", answer, open_udp(way)),  # type: ignore[arg-type]
        comes_from(
            way,
            "a ping's answer",
            (echo(way, way.vm, way.laddr, 6000, True), echo(way, way.unique, way.worker, 77, True)),
            open_ping(way),
        ),
        *(
            comes_from(
                way,
                f"outer ECN {outer} on inner {before} gives {after}",
                (back(way, tos=0xB8 | before)[0], back(way, tos=0xB8 | after)[1]),
                open_tcp(way),
                tos=outer,
            )
            for outer, before, after in ((0, 3, 3), (1, 2, 2), (2, 0, 0), (3, 1, 3), (3, 2, 3), (3, 3, 3))
        ),
        *(
            comes_from(
                way,
                f"{name}, {length} bytes quoted",
                (
                    ip(router, way.laddr) / icmp / Raw(bytes(sent_within)[:length]),
                    ip(way.unique, way.worker) / icmp / Raw(bytes(sent)[:length]),
                ),
                open_tcp(way),
                counters=TRANSLATED,
            )
            for name, icmp in errors.items()
            for length in (head + 8, head + 20, head + 27)
        ),
        dropped(f"{way.name}: outer CE, no ECN inside", from_vm(way, ok, tos=3), DropReason.ECN, *open_tcp(way)),
        dropped(f"{way.name}: an unknown VNI", from_vm(way, ok, vni=99), DropReason.VNI_UNKNOWN, *open_tcp(way)),
        dropped(
            f"{way.name}: another VPC's VTEP", from_vm(way, ok, src=foreign), DropReason.VTEP_UNKNOWN, *open_tcp(way)
        ),
        dropped(f"{way.name}: reserved bits", from_vm(way, ok, reserved2=1), DropReason.VXLAN_HEADER, *open_tcp(way)),
        dropped(
            f"{way.name}: another MAC",
            from_vm(way, ok, mac="02:75:0a:00:00:0b"),
            DropReason.INNER_MAC,
            *open_tcp(way),
        ),
        dropped(
            f"{way.name}: no session",
            from_vm(way, tcp(way.vm, 81, way.laddr, 6000, "A")),
            DropReason.NO_SESSION,
            *open_tcp(way),
        ),
        dropped(
            f"{way.name}: an error about nobody's packet",
            from_vm(way, ip(router, way.laddr) / next(iter(errors.values())) / Raw(bytes(sent_within))),
            DropReason.NO_SESSION,
            *vpc(way),
        ),
        passed(f"{way.name}: another port", from_vm(way, ok, dport=8472), *open_tcp(way)),
        passed(f"{way.name}: another address", from_vm(way, ok, dst="2001:db8::11"), *open_tcp(way))
        if ":" in way.vtep
        else passed(f"{way.name}: another address", from_vm(way, ok, dst="10.0.0.11"), *open_tcp(way)),
    ]


V6 = WAYS[1]
SENT6 = IPv6(src=UNDERLAY6, dst=VTEP6) / UDP(sport=50000, dport=4789) / Raw(b"x" * 40)


def underlay_error(mtu: int, quote: Packet = SENT6, length: int = 48, to: str = UNDERLAY6) -> Packet:
    return arrives(IPv6(src="2001:db8:9::1", dst=to) / ICMPv6PacketTooBig(mtu=mtu) / Raw(bytes(quote)[:length]))


def learnt(name: str, packet: Packet, **events: int) -> Case:
    return Case(name, packet, 0, packet, vpc(V6), {Event[key.upper()]: n for key, n in events.items()})


LEARNS = [
    learnt("packet too big from an IPv6 underlay is remembered", underlay_error(1400), path_mtu=1),
    learnt("an IPv6 underlay's MTU of 1280 is believed", underlay_error(1280), path_mtu=1),
    learnt("an IPv6 underlay's MTU below 1280 is not", underlay_error(1279)),
    learnt("one as large as the device's says nothing", underlay_error(1500)),
    learnt("one about another IPv6 packet", underlay_error(1400, IPv6(src="2001:db8::99", dst=VTEP6) / SENT6[UDP])),
    learnt("one of an IPv6 underlay that quotes too little", underlay_error(1400, length=47)),
    learnt("one for another IPv6 machine", underlay_error(1400, to="2001:db8::11")),
    learnt(
        "an IPv6 underlay's other error",
        arrives(IPv6(src="2001:db8:9::1", dst=UNDERLAY6) / ICMPv6DestUnreach() / Raw(bytes(SENT6)[:48])),
    ),
]
LEAST = tcp(V6.worker, 40000, V6.unique, 80, "A") / Raw(b"x" * 1220)
EXTRA = [
    Case(
        "an IPv6 packet of 1280 bytes is sent, whatever the way is said to take",
        arrives(LEAST),
        TC_ACT_REDIRECT,
        to_vm(V6, tcp(V6.laddr, 6000, V6.vm, 80, "A") / Raw(b"x" * 1220)),
        (*open_tcp(V6), path_mtu(V6.vtep, 1300)),
        ENCAP,
    ),
    Case(
        "a longer one is told 1280",
        arrives(LEAST / Raw(b"x")),
        TC_ACT_REDIRECT,
        too_big(V6, LEAST / Raw(b"x"), 1280),
        (*open_tcp(V6), path_mtu(V6.vtep, 1300)),
        {Event.ICMP_TOO_BIG: 1},
    ),
]
EGRESS = [*(row for way in WAYS for row in egress(way)), *EXTRA]
INGRESS = [*(row for way in WAYS for row in ingress(way)), *LEARNS]
