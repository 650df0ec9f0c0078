"""Packet rows of a gateway: unique IP 100.64.0.1:80 stands for 192.168.0.10 in VNI 10010 behind VTEP 10.1.0.31.

The worker's socket is 10.0.0.10:40000; it leaves as the local address 198.18.1.1:6000.
"""

from ctypes import c_uint32

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.packets import (
    ROUTER_MAC,
    SELF_MAC,
    TC_ACT_REDIRECT,
    Case,
    Entry,
    arrives,
    dropped,
    flow,
    passed,
    tcp,
    udp,
)
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, TcpSeen

WORKER, UNIQUE, VM, LADDR, VTEP = "10.0.0.10", "100.64.0.1", "192.168.0.10", "198.18.1.1", "10.1.0.31"
BLUE, GREEN = 10010, 10020
VM_MAC, INNER_MAC, VPC_MAC = "02:00:c0:a8:00:0a", "02:75:0a:00:00:0a", "02:00:00:00:00:fe"
TIMESTAMP = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
SYN_OPTIONS = [("MSS", 1410), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]
TUNNEL_SPORT = 50000

MACHINE = abi.Machine(
    underlay=abi.addr(WORKER),
    underlay_ifindex=1,
    vpc_ifindex=1,
    vpc_mac=abi.mac(VPC_MAC),
    inner_mac=abi.mac(INNER_MAC),
    laddr_count=1,
    port_min=6000,
    port_max=6000,
)
ENDPOINT = abi.Endpoint(addr=abi.addr(VM), vtep=abi.addr(VTEP), vni=BLUE, mac=abi.mac(VM_MAC), mtu=1450)
ANY = abi.Addr()
VPC = (
    Entry("machine", c_uint32(0), MACHINE),
    Entry("laddrs", c_uint32(0), abi.addr(LADDR)),
    Entry("endpoints", abi.addr(UNIQUE), ENDPOINT),
    Entry("vteps", abi.VtepKey(vtep=ANY, vni=BLUE), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=abi.addr(VTEP), vni=BLUE), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=ANY, vni=GREEN), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=abi.addr("10.2.0.32"), vni=GREEN), abi.Traffic()),
)
FORWARD, REPLY = flow(WORKER, 40000, UNIQUE, 80), flow(VM, 80, LADDR, 6000, vni=BLUE)


def session(
    forward: TcpSeen = TcpSeen.SYN, reply: TcpSeen = TcpSeen.SYN, seen_as: abi.Flow = REPLY
) -> tuple[Entry, ...]:
    """Return both entries of the session that the first SYN of this file opens."""
    return (
        Entry(
            "sessions",
            FORWARD,
            abi.Session(peer=seen_as, direction=Direction.FORWARD, tcp_seen=forward, tunnel_sport=TUNNEL_SPORT),
        ),
        Entry(
            "sessions",
            seen_as,
            abi.Session(peer=FORWARD, direction=Direction.REPLY, tcp_seen=reply, tunnel_sport=TUNNEL_SPORT),
        ),
    )


OPEN = VPC + session()
ENCAP, DECAP = {Event.ENCAP: 1}, {Event.DECAP: 1}


def from_worker(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return arrives(tcp(WORKER, 40000, UNIQUE, 80, flags, **fields) / Raw(payload))


def tunnel(inner: Packet, vni: int = BLUE, src: str = VTEP, dst: str = WORKER, **outer: object) -> Packet:
    """Return an inner frame in a VXLAN packet. outer: tos, sport, dport, flags, reserved1, reserved2, df, ttl."""
    ip = IP(src=src, dst=dst, id=0, ttl=outer.get("ttl", 64), tos=outer.get("tos", 0), flags=outer.get("df", "DF"))
    header = VXLAN(flags=outer.get("flags", 8), vni=vni)
    header.reserved1, header.reserved2 = outer.get("reserved1", 0), outer.get("reserved2", 0)
    ports = UDP(sport=outer.get("sport", TUNNEL_SPORT), dport=outer.get("dport", 4789), chksum=0)
    return Ether(src=ROUTER_MAC, dst=SELF_MAC) / ip / ports / header / inner


def to_vm(flags: str = "A", payload: bytes = b"", tos: int = 0, **fields: object) -> Packet:
    """Return what leaves towards the VM."""
    inner = tcp(LADDR, 6000, VM, 80, flags, tos=tos, **fields) / Raw(payload)
    return unsent(tunnel(Ether(src=INNER_MAC, dst=VM_MAC) / inner, src=WORKER, dst=VTEP, tos=tos & 3))


def unsent(packet: Packet) -> Packet:
    """Return the packet without its Ethernet header: see Case."""
    return packet.payload


def inner_frame(packet: Packet, src: str = VM_MAC, dst: str = INNER_MAC) -> Packet:
    return Ether(src=src, dst=dst) / packet


def from_vm(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    return inner_frame(tcp(VM, 80, LADDR, 6000, flags, **fields) / Raw(payload))


def to_worker(flags: str = "A", payload: bytes = b"", **fields: object) -> Packet:
    packet = tcp(UNIQUE, 80, WORKER, 40000, flags, **fields) / Raw(payload)
    return Ether(src=INNER_MAC, dst=VPC_MAC) / packet


def cut(packet: Packet, length: int) -> Packet:
    return Ether(bytes(packet)[:length])


EGRESS = [
    *(
        Case(
            f"a segment of {size} bytes leaves in the endpoint's VNI",
            from_worker("PA", b"r" * size, options=TIMESTAMP),
            TC_ACT_REDIRECT,
            to_vm("PA", b"r" * size, options=TIMESTAMP),
            OPEN,
            ENCAP,
        )
        for size in (0, 1, 100, 1397, 1398)
    ),
    Case(
        "ECN is copied to the outer header and DSCP is not (RFC 6040)",
        from_worker("A", tos=0xBA),
        TC_ACT_REDIRECT,
        to_vm("A", tos=0xBA),
        OPEN,
        ENCAP,
    ),
    Case("CE is copied", from_worker("A", tos=3), TC_ACT_REDIRECT, to_vm("A", tos=3), OPEN, ENCAP),
    Case("a FIN is carried", from_worker("FA"), TC_ACT_REDIRECT, to_vm("FA"), OPEN, ENCAP),
    Case("a RST is carried", from_worker("R"), TC_ACT_REDIRECT, to_vm("R"), OPEN, ENCAP),
    Case("TTL is the socket's own", from_worker("A", ttl=1), TC_ACT_REDIRECT, to_vm("A", ttl=1), OPEN, ENCAP),
    passed(
        "multicast of the device",
        Ether(src=SELF_MAC, dst=VPC_MAC) / IPv6(src="fe80::1", dst="ff02::2") / Raw(b"x" * 8),
        *VPC,
    ),
    dropped("an unknown unique IP", arrives(tcp(WORKER, 40000, "100.64.0.2", 80)), DropReason.NO_ENDPOINT, *VPC),
    dropped("a segment without a session", from_worker("A"), DropReason.NO_SESSION, *VPC),
    dropped("a fragment", arrives(IP(src=WORKER, dst=UNIQUE, flags="MF") / Raw(b"x" * 40)), DropReason.FRAGMENT, *VPC),
    dropped("a truncated header", cut(from_worker("A"), 40), DropReason.MALFORMED, *OPEN),
    dropped(
        "a session whose unique IP now is another VPC's",
        from_worker("A"),
        DropReason.STALE_ENDPOINT,
        *OPEN,
        Entry("endpoints", abi.addr(UNIQUE), abi.Endpoint(addr=abi.addr(VM), vtep=abi.addr(VTEP), vni=GREEN, mtu=1450)),
    ),
    dropped(
        "a session whose unique IP now is another machine of the VPC",
        from_worker("A"),
        DropReason.STALE_ENDPOINT,
        *OPEN,
        Entry(
            "endpoints",
            abi.addr(UNIQUE),
            abi.Endpoint(addr=abi.addr("192.168.0.11"), vtep=abi.addr(VTEP), vni=BLUE, mtu=1450),
        ),
    ),
    dropped(
        "the only port taken towards this endpoint",
        arrives(tcp(WORKER, 40001, UNIQUE, 80)),
        DropReason.PORTS_EXHAUSTED,
        *OPEN,
        port_probe=16,
    ),
    Case(
        "an endpoint that moved to another VTEP keeps its session",
        from_worker("A"),
        TC_ACT_REDIRECT,
        unsent(
            tunnel(
                inner_frame(tcp(LADDR, 6000, VM, 80, "A"), INNER_MAC, "02:aa:aa:aa:aa:aa"), src=WORKER, dst="10.2.0.32"
            )
        ),
        (
            *OPEN,
            Entry(
                "endpoints",
                abi.addr(UNIQUE),
                abi.Endpoint(
                    addr=abi.addr(VM), vtep=abi.addr("10.2.0.32"), vni=BLUE, mac=abi.mac("02:aa:aa:aa:aa:aa"), mtu=1450
                ),
            ),
        ),
        ENCAP,
    ),
]

INGRESS = [
    Case(
        "the VM's SYN-ACK reaches the socket from the unique IP",
        tunnel(from_vm("SA", options=SYN_OPTIONS, seq=9, ack=2)),
        TC_ACT_REDIRECT,
        to_worker("SA", options=SYN_OPTIONS, seq=9, ack=2),
        OPEN,
        DECAP,
    ),
    *(
        Case(
            f"an answer of {size} bytes reaches the socket",
            tunnel(from_vm("PA", b"a" * size, options=TIMESTAMP)),
            TC_ACT_REDIRECT,
            to_worker("PA", b"a" * size, options=TIMESTAMP),
            OPEN,
            DECAP,
        )
        for size in (0, 1, 99, 1398)
    ),
    Case("a FIN is delivered", tunnel(from_vm("FA")), TC_ACT_REDIRECT, to_worker("FA"), OPEN, DECAP),
    Case("a RST is delivered", tunnel(from_vm("RA")), TC_ACT_REDIRECT, to_worker("RA"), OPEN, DECAP),
    Case("any source port will do", tunnel(from_vm("A"), sport=1), TC_ACT_REDIRECT, to_worker("A"), OPEN, DECAP),
    *(
        Case(
            f"outer ECN {outer} on inner {before} gives {after} (RFC 6040 section 4.2)",
            tunnel(from_vm("A", tos=0xB8 | before), tos=outer),
            TC_ACT_REDIRECT,
            to_worker("A", tos=0xB8 | after),
            OPEN,
            DECAP,
        )
        for outer, before, after in (
            (0, 0, 0),
            (0, 1, 1),
            (0, 2, 2),
            (0, 3, 3),
            (1, 0, 0),
            (1, 1, 1),
            (1, 2, 2),
            (1, 3, 3),
            (2, 0, 0),
            (2, 1, 1),
            (2, 2, 2),
            (2, 3, 3),
            (3, 1, 3),
            (3, 2, 3),
            (3, 3, 3),
        )
    ),
    dropped("outer CE on an inner packet without ECN", tunnel(from_vm("A"), tos=3), DropReason.ECN, *OPEN),
    dropped("an unknown VNI", tunnel(from_vm("A"), vni=99), DropReason.VNI_UNKNOWN, *OPEN),
    dropped("VNI 0", tunnel(from_vm("A"), vni=0), DropReason.VNI_UNKNOWN, *OPEN),
    dropped(
        "a VTEP that hosts nothing of this VNI", tunnel(from_vm("A"), src="10.2.0.32"), DropReason.VTEP_UNKNOWN, *OPEN
    ),
    dropped("blue's packet in green", tunnel(from_vm("A"), vni=GREEN, src="10.2.0.32"), DropReason.NO_SESSION, *OPEN),
    dropped("blue's packet in green from blue's VTEP", tunnel(from_vm("A"), vni=GREEN), DropReason.VTEP_UNKNOWN, *OPEN),
    *(
        dropped(f"VXLAN flags {flags:#x}", tunnel(from_vm("A"), flags=flags), DropReason.VXLAN_HEADER, *OPEN)
        for flags in (0x00, 0x88, 0x09, 0x0C, 0xF7, 0xFF)
    ),
    dropped("reserved bits before the VNI", tunnel(from_vm("A"), reserved1=1), DropReason.VXLAN_HEADER, *OPEN),
    dropped("reserved bits behind the VNI", tunnel(from_vm("A"), reserved2=1), DropReason.VXLAN_HEADER, *OPEN),
    dropped(
        "an inner frame for another MAC",
        tunnel(inner_frame(tcp(VM, 80, LADDR, 6000, "A"), dst="02:75:0a:00:00:0b")),
        DropReason.INNER_MAC,
        *OPEN,
    ),
    dropped(
        "an inner broadcast",
        tunnel(inner_frame(ARP(psrc=VM, pdst=LADDR), dst="ff:ff:ff:ff:ff:ff")),
        DropReason.INNER_MAC,
        *OPEN,
    ),
    dropped(
        "inner ARP", tunnel(inner_frame(ARP(psrc=VM, pdst=LADDR)) / Raw(b"x" * 40)), DropReason.INNER_PROTOCOL, *OPEN
    ),
    dropped(
        "inner IPv6 that carries nothing",
        tunnel(inner_frame(IPv6(src="fd00::1", dst="fd00::2") / Raw(b"x" * 20))),
        DropReason.PROTOCOL,
        *OPEN,
    ),
    dropped(
        "an inner fragment",
        tunnel(inner_frame(IP(src=VM, dst=LADDR, flags="MF") / Raw(b"x" * 40))),
        DropReason.FRAGMENT,
        *OPEN,
    ),
    dropped(
        "a ping out of a VPC",
        tunnel(inner_frame(IP(src=VM, dst=LADDR) / ICMP() / Raw(b"x" * 20))),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped(
        "inner UDP without a session",
        tunnel(inner_frame(udp(VM, 80, LADDR, 6000) / Raw(b"x" * 20))),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped("an inner length beyond the packet", tunnel(from_vm("A", len=200)), DropReason.MALFORMED, *OPEN),
    dropped(
        "an inner port without a session",
        tunnel(inner_frame(tcp(VM, 81, LADDR, 6000, "A"))),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped(
        "an inner source without a session",
        tunnel(inner_frame(tcp("192.168.0.11", 80, LADDR, 6000, "A"))),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped(
        "a VM's own SYN towards a local address",
        tunnel(inner_frame(tcp(VM, 5, LADDR, 22, "S"))),
        DropReason.NO_SESSION,
        *OPEN,
    ),
    dropped("a VXLAN packet without an inner frame", tunnel(Raw(b"")), DropReason.MALFORMED, *OPEN),
    dropped(
        "an outer fragment to the VTEP",
        arrives(IP(src=VTEP, dst=WORKER, proto=17, flags="MF") / Raw(b"x" * 60)),
        DropReason.FRAGMENT,
        *OPEN,
    ),
    dropped(
        "outer IP options",
        arrives(IP(src=VTEP, dst=WORKER, options=[b"\x01\x01\x01\x00"]) / UDP(sport=1, dport=4789) / Raw(b"x" * 60)),
        DropReason.IP_OPTIONS,
        *OPEN,
    ),
    passed("UDP to another port", tunnel(from_vm("A"), dport=8472), *OPEN),
    passed("VXLAN to another address", tunnel(from_vm("A"), dst="10.0.0.11"), *OPEN),
    passed("TCP to the gateway", arrives(tcp("10.100.1.1", 5000, WORKER, 80)), *OPEN),
    passed("ARP", Ether(src=ROUTER_MAC, dst=SELF_MAC) / ARP(psrc="10.0.0.1", pdst="10.0.0.10"), *OPEN),
]
