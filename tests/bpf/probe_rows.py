"""Packet rows of probes: 240.75.0.N stands for target N at the L4 node 10.0.0.10, which asks from 10.100.1.1:5000."""

from ctypes import c_uint32

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, flow, leaves, passed, tcp
from userspace.node import abi
from userspace.node.abi import Direction, DropReason, Event, Owned, TcpSeen

NODE, LADDR, BACKEND, GATEWAY, VIP = "10.0.0.10", "10.100.1.1", "10.1.0.21", "10.1.0.11", "10.100.0.20"
NODE6, LADDR6, BACKEND6 = "fd75::1", "2001:db8:1::1", "2001:db8:2::21"
VM, VTEP, BLUE = "192.168.0.10", "10.1.0.31", 10010
VM_MAC, INNER_MAC, PROBE_MAC = "02:00:c0:a8:00:0a", "02:75:0a:00:00:0a", "02:00:00:00:00:fe"
CLASSIC, IN_VPC, IN_TUNNEL, CLASSIC6 = 2, 3, 4, 5
SPORT = 50000
PROBE = 0xFFFFFFFF

MACHINE = abi.Machine(
    underlay=abi.addr(NODE),
    underlay_ifindex=1,
    vpc_ifindex=1,
    vpc_mac=abi.mac(PROBE_MAC),
    inner_mac=abi.mac(INNER_MAC),
    laddr_count=1,
    laddr6_count=1,
    port_min=5000,
    port_max=5000,
    mtu=1500,
    toa_kind=254,
)
TARGETS = (
    Entry("machine", c_uint32(0), MACHINE),
    Entry("owned", abi.addr(LADDR), c_uint32(Owned.LADDR)),
    Entry("owned", abi.addr(LADDR6), c_uint32(Owned.LADDR)),
    Entry("laddrs", c_uint32(0), abi.addr(LADDR)),
    Entry("laddrs", c_uint32(1), abi.addr(LADDR6)),
    Entry("targets", c_uint32(CLASSIC), abi.Target(addr=abi.addr(BACKEND), port=80)),
    Entry("targets", c_uint32(IN_VPC), abi.Target(addr=abi.addr(VM), port=80, vni=BLUE)),
    Entry("targets", c_uint32(IN_TUNNEL), abi.Target(addr=abi.addr(GATEWAY), vip=abi.addr(VIP), port=80)),
    Entry("targets", c_uint32(CLASSIC6), abi.Target(addr=abi.addr(BACKEND6), port=80)),
    Entry("targets", c_uint32(6), abi.Target()),
    Entry(
        "hosts",
        abi.HostKey(addr=abi.addr(VM), vni=BLUE),
        abi.Endpoint(vtep=abi.addr(VTEP), vni=BLUE, mac=abi.mac(VM_MAC), mtu=1450),
    ),
    Entry("vteps", abi.VtepKey(vni=BLUE), abi.Traffic()),
    Entry("vteps", abi.VtepKey(vtep=abi.addr(VTEP), vni=BLUE), abi.Traffic()),
)


def probed(target: int) -> str:
    return f"fd75:756e:6c62::{target}" if target == CLASSIC6 else f"240.75.0.{target}"


def session(target: int, remote: str, vni: int = 0, forward: int = TcpSeen.SYN, port: int = 80) -> tuple[Entry, ...]:
    node, laddr = (NODE6, LADDR6) if ":" in remote else (NODE, LADDR)
    there, back = flow(node, 40000, probed(target), port), flow(remote, port, laddr, 5000, vni=vni)
    return (
        Entry(
            "sessions",
            there,
            abi.Session(peer=back, direction=Direction.FORWARD, tcp_seen=forward, tunnel_sport=SPORT, target=PROBE),
        ),
        Entry("sessions", back, abi.Session(peer=there, direction=Direction.REPLY, tcp_seen=TcpSeen.SYN, target=PROBE)),
    )


def asks(target: int, flags: str = "S", port: int = 80, payload: bytes = b"") -> Ether:
    """What a local socket sends to the device: the MACs mean nothing."""
    node = NODE6 if target == CLASSIC6 else NODE
    return Ether(src=PROBE_MAC, dst=PROBE_MAC) / tcp(node, 40000, probed(target), port, flags) / Raw(payload)


def vxlan(inner: Packet, sport: int = SPORT, back: bool = False) -> Packet:
    """Return the packet in VNI BLUE, towards the VTEP or from it."""
    src, dst = (VTEP, NODE) if back else (NODE, VTEP)
    macs = {"src": VM_MAC, "dst": INNER_MAC} if back else {"src": INNER_MAC, "dst": VM_MAC}
    outer = IP(src=src, dst=dst, id=0, flags="DF", ttl=64) / UDP(sport=sport, dport=4789, chksum=0)
    return outer / VXLAN(flags=8, vni=BLUE) / Ether(**macs) / inner


def tunnelled(inner: Packet) -> Packet:
    outer = IP(src=NODE, dst=GATEWAY, id=0, flags="DF", ttl=64) / UDP(sport=SPORT, dport=6080, chksum=0)
    return outer / inner


TOLD = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
TOA = (254, bytes.fromhex("9c400a00000a"))  # port 40000 of 10.0.0.10

OUT = [
    Case(
        "a probe of a classic target leaves as a client's packet would",
        asks(CLASSIC),
        TC_ACT_REDIRECT,
        leaves(tcp(LADDR, 5000, BACKEND, 80, "S", ttl=63)),
        TARGETS,
        {Event.SESSION_NEW: 1},
    ),
    Case(
        "with TOA, as a client's",
        asks(CLASSIC, "A"),
        TC_ACT_REDIRECT,
        leaves(tcp(LADDR, 5000, BACKEND, 80, "A", ttl=63, options=[TOA])),
        TARGETS + session(CLASSIC, BACKEND),
        {Event.TOA_WRITTEN: 1},
    ),
    Case(
        "to the port that it asks for",
        asks(CLASSIC, port=8080),
        TC_ACT_REDIRECT,
        leaves(tcp(LADDR, 5000, BACKEND, 8080, "S", ttl=63)),
        TARGETS,
        {Event.SESSION_NEW: 1},
    ),
    Case(
        "a probe of an IPv6 target",
        asks(CLASSIC6),
        TC_ACT_REDIRECT,
        leaves(tcp(LADDR6, 5000, BACKEND6, 80, "S", ttl=63)),
        TARGETS,
        {Event.SESSION_NEW: 1},
    ),
    Case(
        "a probe of a VM goes into its VNI",
        asks(IN_VPC, "FA"),
        TC_ACT_REDIRECT,
        vxlan(tcp(LADDR, 5000, VM, 80, "FA", ttl=63)),
        TARGETS + session(IN_VPC, VM, BLUE, TOLD),
        {Event.ENCAP: 1},
    ),
    Case(
        "a probe of a DSR VIP's target asks for the VIP, in the tunnel",
        asks(IN_TUNNEL, "FA"),
        TC_ACT_REDIRECT,
        tunnelled(tcp(LADDR, 5000, VIP, 80, "FA", ttl=63)),
        TARGETS + session(IN_TUNNEL, VIP, forward=TOLD),
        {Event.DSR_SENT: 1},
    ),
    dropped("a number that no target has", asks(6), DropReason.NO_TARGET, *TARGETS),
    dropped("the number 0", asks(0), DropReason.NO_TARGET, *TARGETS),
    dropped("a segment without a session", asks(CLASSIC, "A"), DropReason.NO_SESSION, *TARGETS),
    passed(
        "what is no TCP dies in the idle end of the pair", Ether(src=PROBE_MAC, dst=PROBE_MAC) / IP() / UDP(), *TARGETS
    ),
]


def delivered(packet: Packet) -> Ether:
    return Ether(src=INNER_MAC, dst=PROBE_MAC) / packet


BACK = [
    Case(
        "a classic target's answer is given to the socket",
        arrives(tcp(BACKEND, 80, LADDR, 5000, "SA")),
        TC_ACT_REDIRECT,
        delivered(tcp(probed(CLASSIC), 80, NODE, 40000, "SA")),
        TARGETS + session(CLASSIC, BACKEND),
        {},
    ),
    Case(
        "its refusal too",
        arrives(tcp(BACKEND, 80, LADDR, 5000, "RA")),
        TC_ACT_REDIRECT,
        delivered(tcp(probed(CLASSIC), 80, NODE, 40000, "RA")),
        TARGETS + session(CLASSIC, BACKEND),
        {},
    ),
    Case(
        "an IPv6 target's",
        arrives(tcp(BACKEND6, 80, LADDR6, 5000, "SA")),
        TC_ACT_REDIRECT,
        delivered(tcp(probed(CLASSIC6), 80, NODE6, 40000, "SA")),
        TARGETS + session(CLASSIC6, BACKEND6),
        {},
    ),
    Case(
        "a VM's, out of its VNI",
        arrives(vxlan(tcp(VM, 80, LADDR, 5000, "SA"), back=True)),
        TC_ACT_REDIRECT,
        delivered(tcp(probed(IN_VPC), 80, NODE, 40000, "SA")),
        TARGETS + session(IN_VPC, VM, BLUE),
        {Event.DECAP: 1},
    ),
    Case(
        "a DSR VIP's target answers from the VIP",
        arrives(tcp(VIP, 80, LADDR, 5000, "SA")),
        TC_ACT_REDIRECT,
        delivered(tcp(probed(IN_TUNNEL), 80, NODE, 40000, "SA")),
        TARGETS + session(IN_TUNNEL, VIP),
        {},
    ),
]
