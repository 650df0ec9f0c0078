"""Packet rows of the L4 tier: backends in a VPC, packets that are too long, targets that are down."""

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.bpf import l4_rows as v4
from tests.bpf.l4_machine import (
    BLUE,
    DATA,
    DECAP,
    ENCAP,
    FRAG_NEEDED,
    INNER_MAC,
    NEW,
    PEER,
    PUBLISHED,
    SYN,
    UDP_FORWARD,
    UDP_REPLY,
    UNDERLAY,
    VM,
    VM_MAC,
    VPC_OPEN,
    VPC_TOLD,
    VTEP,
    WRITTEN,
    quoted,
    session,
    target,
    tunnel,
)
from tests.packets import TC_ACT_REDIRECT, Case, arrives, dropped, flow, leaves, tcp, udp
from userspace.node.abi import DropReason, Event, TargetState


def too_big(packet: Packet, mtu: int) -> Packet:
    """Return the error that a packet earns, quoting its first 64 bytes."""
    error = IP(src=packet.dst, dst=packet.src, id=0, ttl=64) / ICMP(type=3, code=4, nexthopmtu=mtu)
    return leaves(error / Raw(bytes(packet)[:64]))


SLOW = "203.0.113.99"  # the way there takes 1400 bytes


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


ROWS = [
    Case(
        "VPC: the acknowledgement carries TOA into the VNI",
        from_client_vpc("A"),
        TC_ACT_REDIRECT,
        to_vm("A", options=[v4.TOA]),
        VPC_OPEN,
        {**ENCAP, **WRITTEN},
    ),
    Case(
        "VPC: what a link has padded a packet with stays behind the outer one",
        Ether(bytes(from_client_vpc("A")) + b"\0" * 6),
        TC_ACT_REDIRECT,
        IP(bytes(to_vm("A")) + b"\0" * 6),
        VPC_TOLD,
        ENCAP,
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
    dropped(
        "a segment of a session whose target is down",
        v4.from_client("A"),
        DropReason.TARGET_DOWN,
        *PUBLISHED,
        target(1, v4.GATEWAY, 80, state=TargetState.DOWN),
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
