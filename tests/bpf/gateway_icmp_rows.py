"""Packet rows of a gateway's VPC path beyond TCP: UDP, pings, ICMP errors both ways, packets that are too long."""

from ctypes import c_uint32

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.bpf.gateway_rows import (
    BLUE,
    DECAP,
    ENCAP,
    INNER_MAC,
    LADDR,
    OPEN,
    TUNNEL_SPORT,
    UNIQUE,
    VM,
    VM_MAC,
    VPC,
    VPC_MAC,
    VTEP,
    WORKER,
    from_worker,
    inner_frame,
    tunnel,
    unsent,
)
from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, flow, passed, path_mtu, tcp, udp
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event

TRANSLATED = {Event.ICMP_TRANSLATED: 1}


def session(proto: int, forward: tuple[int, int], reply: tuple[int, int]) -> tuple[Entry, Entry]:
    """Return both entries of a session of `proto`; (source, destination) ports each way."""
    there = flow(WORKER, forward[0], UNIQUE, forward[1], proto=proto)
    back = flow(VM, reply[0], LADDR, reply[1], vni=BLUE, proto=proto)
    return (
        Entry("sessions", there, abi.Session(peer=back, direction=Direction.FORWARD, tunnel_sport=TUNNEL_SPORT)),
        Entry("sessions", back, abi.Session(peer=there, direction=Direction.REPLY, tunnel_sport=TUNNEL_SPORT)),
    )


UDP_OPEN = VPC + session(17, (40000, 53), (53, 6000))
PING_OPEN = VPC + session(1, (77, 0), (0, 6000))


def to_vm(packet: Packet, sport: int = TUNNEL_SPORT) -> Packet:
    return unsent(tunnel(Ether(src=INNER_MAC, dst=VM_MAC) / packet, src=WORKER, dst=VTEP, sport=sport))


def to_worker(packet: Packet) -> Packet:
    return Ether(src=INNER_MAC, dst=VPC_MAC) / packet


def quoted(packet: Packet, length: int) -> Raw:
    return Raw(bytes(packet)[:length])


def too_big(packet: Packet, mtu: int) -> Packet:
    error = IP(src=packet.dst, dst=packet.src, id=0, ttl=64) / ICMP(type=3, code=4, nexthopmtu=mtu)
    return to_worker(error / Raw(bytes(packet)[:64]))


EGRESS = [
    Case(
        "a datagram leaves in the endpoint's VNI",
        arrives(udp(WORKER, 40000, UNIQUE, 53) / Raw(b"query")),
        TC_ACT_REDIRECT,
        to_vm(udp(LADDR, 6000, VM, 53) / Raw(b"query")),
        UDP_OPEN,
        ENCAP,
    ),
    Case(
        "a ping leaves in the endpoint's VNI under an id of ours",
        arrives(IP(src=WORKER, dst=UNIQUE) / ICMP(id=77, seq=4) / Raw(b"ping")),
        TC_ACT_REDIRECT,
        to_vm(IP(src=LADDR, dst=VM) / ICMP(id=6000, seq=4) / Raw(b"ping")),
        PING_OPEN,
        ENCAP,
    ),
    *(
        Case(
            f"a socket's 'port unreachable' goes back to the VM, {length} bytes quoted",
            arrives(
                IP(src=WORKER, dst=UNIQUE)
                / ICMP(type=3, code=3)
                / quoted(udp(UNIQUE, 53, WORKER, 40000) / Raw(b"late"), length)
            ),
            TC_ACT_REDIRECT,
            to_vm(
                IP(src=LADDR, dst=VM) / ICMP(type=3, code=3) / quoted(udp(VM, 53, LADDR, 6000) / Raw(b"late"), length),
                sport=49152,
            ),
            UDP_OPEN,
            {**ENCAP, **TRANSLATED},
        )
        for length in (28, 32)
    ),
    Case(
        "a segment longer than the endpoint's MTU earns an error from the endpoint",
        from_worker("A", b"x" * 1411),
        TC_ACT_REDIRECT,
        too_big(tcp(WORKER, 40000, UNIQUE, 80, "A") / Raw(b"x" * 1411), 1450),
        OPEN,
        {Event.ICMP_TOO_BIG: 1},
    ),
    Case(
        "a segment longer than the way to the VTEP earns one too",
        from_worker("A", b"x" * 1311),
        TC_ACT_REDIRECT,
        too_big(tcp(WORKER, 40000, UNIQUE, 80, "A") / Raw(b"x" * 1311), 1350),
        (*OPEN, path_mtu(VTEP, 1400)),
        {Event.ICMP_TOO_BIG: 1},
    ),
    Case(
        "one that fits the way passes",
        from_worker("A", b"x" * 1310),
        TC_ACT_REDIRECT,
        to_vm(tcp(LADDR, 6000, VM, 80, "A") / Raw(b"x" * 1310)),
        (*OPEN, path_mtu(VTEP, 1400)),
        ENCAP,
    ),
    Case(
        "what a router said ten minutes ago is forgotten",
        from_worker("A", b"x" * 1410),
        TC_ACT_REDIRECT,
        to_vm(tcp(LADDR, 6000, VM, 80, "A") / Raw(b"x" * 1410)),
        (*OPEN, path_mtu(VTEP, 1400, age=601)),
        ENCAP,
    ),
    Case(
        "a datagram longer than the endpoint's MTU earns an error",
        arrives(udp(WORKER, 40000, UNIQUE, 53) / Raw(b"x" * 1423)),
        TC_ACT_REDIRECT,
        too_big(udp(WORKER, 40000, UNIQUE, 53) / Raw(b"x" * 1423), 1450),
        UDP_OPEN,
        {Event.ICMP_TOO_BIG: 1},
    ),
    dropped(
        "a local answer to a ping that nobody sent",
        arrives(IP(src=WORKER, dst=UNIQUE) / ICMP(type=0, id=5)),
        DropReason.NO_SESSION,
        *VPC,
    ),
    dropped(
        "an error about nobody's packet",
        arrives(IP(src=WORKER, dst=UNIQUE) / ICMP(type=3, code=3) / quoted(udp(UNIQUE, 53, WORKER, 40000), 28)),
        DropReason.NO_SESSION,
        *VPC,
    ),
    dropped(
        "an error about a packet of an endpoint that is another's now",
        arrives(IP(src=WORKER, dst=UNIQUE) / ICMP(type=3, code=3) / quoted(udp(UNIQUE, 53, WORKER, 40000), 28)),
        DropReason.STALE_ENDPOINT,
        *UDP_OPEN,
        Entry(
            "endpoints",
            abi.addr(UNIQUE),
            abi.Endpoint(addr=abi.addr("192.168.0.99"), vtep=abi.addr(VTEP), vni=BLUE, mtu=1450),
        ),
    ),
    dropped(
        "another protocol", arrives(IP(src=WORKER, dst=UNIQUE, proto=47) / Raw(b"x" * 30)), DropReason.PROTOCOL, *VPC
    ),
]


def error_row(name: str, icmp: Packet, quotes: Packet, becomes: Packet, before: tuple[Entry, ...], length: int) -> Case:
    return Case(
        f"{name} reaches the socket from the unique IP, {length} bytes quoted",
        tunnel(inner_frame(IP(src="192.168.0.1", dst=LADDR) / icmp / quoted(quotes, length))),
        TC_ACT_REDIRECT,
        to_worker(IP(src=UNIQUE, dst=WORKER) / icmp / quoted(becomes, length)),
        before,
        {**DECAP, **TRANSLATED},
    )


FRAG_NEEDED = ICMP(type=3, code=4, nexthopmtu=1300)
SENT, SENT_BY_WORKER = (
    tcp(*ends, "PA", seq=900, ttl=9) / Raw(b"request") for ends in ((LADDR, 6000, VM, 80), (WORKER, 40000, UNIQUE, 80))
)


def underlay_error(mtu: int, quotes: Packet, to: str = WORKER, length: int = 28, code: int = 4) -> Packet:
    icmp = ICMP(type=3, code=code, nexthopmtu=mtu)
    return arrives(IP(src="10.9.0.1", dst=to) / icmp / quoted(quotes, length))


ENCAPSULATED = IP(src=WORKER, dst=VTEP) / UDP(sport=50000, dport=4789, chksum=0) / Raw(b"x" * 40)
WIDE = abi.Machine(
    underlay=abi.addr(WORKER), underlay_ifindex=1, vpc_ifindex=1, inner_mac=abi.mac(INNER_MAC), laddr_count=1, mtu=1500
)
LEARNS = (*VPC, Entry("machine", c_uint32(0), WIDE))


def learnt(name: str, packet: Packet, **events: int) -> Case:
    return Case(name, packet, 0, packet, LEARNS, {Event[key.upper()]: n for key, n in events.items()})


INGRESS = [
    *(
        error_row(name, icmp, SENT, SENT_BY_WORKER, OPEN, length)
        for name, icmp in (
            ("fragmentation needed", FRAG_NEEDED),
            ("host unreachable", ICMP(type=3, code=1)),
            ("time exceeded", ICMP(type=11)),
        )
        for length in (28, 40, 47)
    ),
    error_row(
        "port unreachable",
        ICMP(type=3, code=3),
        udp(LADDR, 6000, VM, 53) / Raw(b"q"),
        udp(WORKER, 40000, UNIQUE, 53) / Raw(b"q"),
        UDP_OPEN,
        29,
    ),
    error_row(
        "an error about a ping",
        ICMP(type=3, code=1),
        IP(src=LADDR, dst=VM) / ICMP(id=6000, seq=2) / Raw(b"ping"),
        IP(src=WORKER, dst=UNIQUE) / ICMP(id=77, seq=2) / Raw(b"ping"),
        PING_OPEN,
        32,
    ),
    Case(
        "a datagram reaches the socket from the unique IP",
        tunnel(inner_frame(udp(VM, 53, LADDR, 6000) / Raw(b"answer"))),
        TC_ACT_REDIRECT,
        to_worker(udp(UNIQUE, 53, WORKER, 40000) / Raw(b"answer")),
        UDP_OPEN,
        DECAP,
    ),
    Case(
        "a ping's answer reaches the socket under its own id",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / ICMP(type=0, id=6000, seq=4) / Raw(b"ping"))),
        TC_ACT_REDIRECT,
        to_worker(IP(src=UNIQUE, dst=WORKER) / ICMP(type=0, id=77, seq=4) / Raw(b"ping")),
        PING_OPEN,
        DECAP,
    ),
    dropped(
        "an error about nobody's packet out of a VPC",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / FRAG_NEEDED / quoted(SENT, 28))),
        DropReason.NO_SESSION,
        *VPC,
    ),
    dropped(
        "an error of one VPC about another's session",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / FRAG_NEEDED / quoted(SENT, 28)), vni=10020, src="10.2.0.32"),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped(
        "an error whose quote this gateway never sent",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / FRAG_NEEDED / quoted(SENT_BY_WORKER, 28))),
        DropReason.ICMP_QUOTE,
        *OPEN,
    ),
    dropped(
        "an error out of a VPC that quotes too little",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / FRAG_NEEDED / quoted(SENT, 27))),
        DropReason.ICMP_QUOTE,
        *OPEN,
    ),
    learnt("fragmentation needed from the underlay is remembered", underlay_error(1400, ENCAPSULATED), path_mtu=1),
    learnt("an MTU below 626 is not believed", underlay_error(625, ENCAPSULATED)),
    learnt("an MTU as large as the device's says nothing", underlay_error(1500, ENCAPSULATED)),
    learnt("one about another port", underlay_error(1400, IP(src=WORKER, dst=VTEP) / UDP(dport=53) / Raw(b"x" * 8))),
    learnt("one about another's packet", underlay_error(1400, IP(src="10.0.0.99", dst=VTEP) / ENCAPSULATED[UDP])),
    learnt("one that quotes too little", underlay_error(1400, ENCAPSULATED, length=27)),
    learnt("one of another kind", underlay_error(1400, ENCAPSULATED, code=1)),
    passed("one for another machine", underlay_error(1400, ENCAPSULATED, to="10.0.0.11"), *LEARNS),
]
