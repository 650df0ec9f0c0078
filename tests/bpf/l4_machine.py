"""The L4 node that packet rows speak to, as a whole: IPv4 and IPv6, TCP and UDP, gateways and a backend in a VPC.

The same machine as in l4_rows.py, which also answers 2001:db8:100::10, and sends straight to 192.168.0.10 in VNI 10010.
"""

from ctypes import c_uint32

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.bpf import l4_rows as v4
from tests.packets import Entry, flow
from userspace.node import abi
from userspace.node.abi import Direction, Event, Owned, TcpSeen

CLIENT6, VIP6, LADDR6, GATEWAY6 = "2001:db8:1::9", "2001:db8:100::10", "2001:db8:101::1", "2001:db8:2::11"
ROUTER, ROUTER6 = "198.51.100.1", "2001:db8:f::1"
UNDERLAY, VM, VTEP, BLUE = "10.0.0.10", "192.168.0.10", "10.1.0.31", 10010
VM_MAC, INNER_MAC = "02:00:c0:a8:00:0a", "02:75:0a:00:00:0a"
TOA6 = (254, bytes.fromhex("1072") + bytes(abi.addr(CLIENT6)))

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


# Ring r names target r + 1 everywhere (conftest.py).
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
UDP_FORWARD, UDP_REPLY = flow(v4.CLIENT, 4210, v4.VIP, 53, proto=17), flow(v4.GATEWAY, 80, v4.LADDR, 5000, proto=17)
UDP_OPEN = PUBLISHED + session(UDP_FORWARD, UDP_REPLY)
VPC_FORWARD, VPC_REPLY = flow(v4.CLIENT, 4210, v4.VIP, 8080), flow(VM, 80, v4.LADDR, 5000, vni=BLUE)
VPC_OPEN = PUBLISHED + session(VPC_FORWARD, VPC_REPLY, (SYN, SYN), index=3)
VPC_TOLD = PUBLISHED + session(VPC_FORWARD, VPC_REPLY, (PEER, DATA), index=3)
FRAG_NEEDED = ICMP(type=3, code=4, nexthopmtu=1400)
ENCAP, DECAP = {Event.ENCAP: 1}, {Event.DECAP: 1}


def quoted(packet: Packet, length: int) -> Raw:
    return Raw(bytes(packet)[:length])


def tunnel(
    inner: Packet, src: str = VTEP, dst: str = UNDERLAY, macs: tuple[str, str] = (VM_MAC, INNER_MAC), **outer: int
) -> Packet:
    """Return a frame in a VXLAN packet, without the outer Ethernet header: see Case."""
    header = IP(src=src, dst=dst, id=0, ttl=64, flags="DF", tos=outer.get("tos", 0))
    frame = Ether(src=macs[0], dst=macs[1]) / inner
    return header / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(flags=8, vni=outer.get("vni", BLUE)) / frame
