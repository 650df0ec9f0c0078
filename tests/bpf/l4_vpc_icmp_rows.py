"""Packet rows of the L4 tier: a client's ICMP error about what a backend in a VPC had answered, into the VNI.

The L4 node of l4_machine.py with an underlay address of IPv6 too. Each way is one pair of families: what client and VM
speak, and what the VM's VTEP does.
"""

from ctypes import c_uint32

from scapy.layers.inet import ICMP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
)
from scapy.packet import Packet, Raw

from tests.bpf import l4_machine as l4
from tests.bpf import l4_rows as v4
from tests.bpf.gateway_rows import ENCAP
from tests.bpf.vxlan6_rows import UNDERLAY6, VM_MAC, VTEP, WAYS, Way, tunnel
from tests.packets import TC_ACT_REDIRECT, Case, Entry, arrives, dropped, flow, ip, path_mtu, tcp, udp
from userspace.node import abi
from userspace.node.abi import DropReason, Event

ALL = (Way("IPv4 over IPv4", False, VTEP), *WAYS)
SPORT = 49152  # errors belong to no session's path, as those of a gateway's sockets
MTU = 1450
ERRORS = (
    {
        "fragmentation needed": ICMP(type=3, code=4, nexthopmtu=1300),
        "host unreachable": ICMP(type=3, code=1),
        "port unreachable": ICMP(type=3, code=3),
        "time exceeded": ICMP(type=11),
        "parameter problem": ICMP(type=12),
    },
    {
        "packet too big": ICMPv6PacketTooBig(mtu=1300),
        "unreachable": ICMPv6DestUnreach(code=4),
        "time exceeded": ICMPv6TimeExceeded(),
        "parameter problem": ICMPv6ParamProblem(ptr=7),
    },
)


def ends(way: Way) -> tuple[str, str, str, str, str]:
    """Return client, VIP, local address, VM, and a router on the client's side."""
    if way.is6:
        return l4.CLIENT6, l4.VIP6, l4.LADDR6, way.vm, l4.ROUTER6
    return v4.CLIENT, v4.VIP, v4.LADDR, way.vm, l4.ROUTER


def machine() -> Entry:
    value = abi.Machine.from_buffer_copy(bytes(l4.MACHINE.value))  # type: ignore[call-overload]
    value.underlay6 = abi.addr(UNDERLAY6)
    return Entry("machine", c_uint32(0), value)


def opened(way: Way, proto: int = 6, has_host: bool = True) -> tuple[Entry, ...]:
    """Return the maps with a session of client port 4210 to the VIP's 8080, which is the VM's 80."""
    client, vip, laddr, vm, _ = ends(way)
    host = abi.Endpoint(
        addr=abi.addr(way.unique), vtep=abi.addr(way.vtep), vni=l4.BLUE, mac=abi.mac(VM_MAC), mtu=MTU - way.extra + 50
    )
    return (
        *(entry for entry in l4.PUBLISHED if entry.table != "hosts"),
        machine(),
        *((Entry("hosts", abi.HostKey(addr=abi.addr(vm), vni=l4.BLUE), host),) if has_host else ()),
        *l4.session(
            flow(client, 4210, vip, 8080, proto=proto), flow(vm, 80, laddr, 5000, vni=l4.BLUE, proto=proto), index=3
        ),
    )


def to_vm(way: Way, inner: Packet, tos: int = 0) -> Packet:
    return tunnel(inner, way.here, way.vtep, (l4.INNER_MAC, VM_MAC), sport=SPORT, tos=tos)


def answers(way: Way, proto: int = 6, payload: bytes = b"an answer", **fields: object) -> tuple[Packet, Packet]:
    """Return the VM's answer as the client had got it, and as the VM had sent it."""
    client, vip, laddr, vm, _ = ends(way)
    if proto == 6:
        fields = {"flags": "PA", "seq": 4_000_000_001, "ack": 77, "options": v4.TIMESTAMP, **fields}
        pair = tcp(vip, 8080, client, 4210, **fields), tcp(vm, 80, laddr, 5000, **fields)
    else:
        pair = udp(vip, 8080, client, 4210, **fields), udp(vm, 80, laddr, 5000, **fields)
    return pair[0] / Raw(payload), pair[1] / Raw(payload)


def carried(
    way: Way, name: str, icmp: Packet, length: int, source: str = "", proto: int = 6, tos: int = 0, **fields: object
) -> Case:
    """An error from `source`, else the client, that quotes `length` bytes, and what the VM gets of it."""
    client, vip, laddr, vm, _ = ends(way)
    outside, within = answers(way, proto, **fields)  # type: ignore[arg-type]
    return Case(
        f"{way.name}: {name} into the VPC, {length} bytes quoted",
        arrives(ip(source or client, vip, tos=tos) / icmp / l4.quoted(outside, length)),
        TC_ACT_REDIRECT,
        to_vm(way, ip(laddr, vm, ttl=63, tos=tos) / icmp / l4.quoted(within, length), tos & 3),
        opened(way, proto),
        {**ENCAP, Event.ICMP_TRANSLATED: 1},
    )


def rows(way: Way) -> list[Case]:
    client, vip, laddr, vm, router = ends(way)
    head = 40 if way.is6 else 20
    too_big = next(iter(ERRORS[way.is6].values()))
    outside = answers(way)[0]
    error = arrives(ip(router, vip) / too_big / l4.quoted(outside, head + 32))
    long = arrives(ip(router, vip) / too_big / Raw(bytes(answers(way, payload=b"x" * 1440)[0])[: 1451 - head]))
    return [
        *(
            carried(way, f"a router's {name}", icmp, length, router)
            for name, icmp in ERRORS[way.is6].items()
            for length in (head + 8, head + 20, head + 41)
        ),
        carried(way, "the client's own error", too_big, head + 8),
        carried(way, "an error with ECN and DSCP", too_big, head + 8, tos=0xB9),
        *(
            carried(way, f"port unreachable about a datagram of checksum {csum}", icmp, head + length, "", 17, **fields)
            for icmp in (ERRORS[way.is6]["unreachable" if way.is6 else "port unreachable"],)
            for csum, fields in (("its own", {}), ("0", {"chksum": 0}))
            for length in (8, 17)
        ),
        dropped(
            f"{way.name}: an error of a backend that is gone", error, DropReason.STALE_ENDPOINT, *opened(way, 6, False)
        ),
        dropped(f"{way.name}: an error about nobody's answer", error, DropReason.NO_SESSION, *l4.PUBLISHED, machine()),
        dropped(
            f"{way.name}: an error whose quote another address had sent",
            arrives(ip(router, vip) / too_big / l4.quoted(tcp(laddr, 5000, client, 4210, "A"), head + 20)),
            DropReason.ICMP_QUOTE,
            *opened(way),
        ),
        dropped(
            f"{way.name}: an error with TTL 1",
            arrives(ip(router, vip, ttl=1) / too_big / l4.quoted(outside, head + 8)),
            DropReason.TTL_EXPIRED,
            *opened(way),
        ),
        dropped(f"{way.name}: an error longer than the VPC's MTU earns none", long, DropReason.TOO_BIG, *opened(way)),
        dropped(
            f"{way.name}: nor one longer than the way to the VTEP",
            long,
            DropReason.TOO_BIG,
            *opened(way),
            path_mtu(way.vtep, 1400),
        ),
    ]


ROWS = [row for way in ALL for row in rows(way)]
