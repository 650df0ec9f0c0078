"""Packets that a program turns into packets for itself, so that BPF_PROG_TEST_RUN may repeat it with warm caches.

A repeated run goes on with the packet as the run before left it. `steer` is a session whose translation is the
identity; `tunnel` one whose tunnel ends where it begins: its runs put the packet into the VNI and take it out in turn.
Every run takes one from the TTL, and that is how often it can be repeated. On TC a tunnel is not repeated: the kernel
refuses to put into a second one what it knows to have been in one.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_uint32
from pathlib import Path
from statistics import median

from scapy.packet import Raw

from tests.images import CACHE
from tests.packets import TC_ACT_REDIRECT, arrives, clear, flow, packet_namespace, run, tcp
from userspace.node import abi, datapath
from userspace.node.abi import Direction, Owned, TcpSeen
from userspace.node.datapath import Datapath, Sizes

REPEAT = 250
CALLS = 200
CLIENT, VIP, LADDR, VM, VNI = "203.0.113.9", "10.100.0.10", "10.100.1.1", "192.168.0.10", 10010
UNDERLAY, INNER_MAC = "10.0.0.66", "02:75:0a:00:00:42"
MACHINE = abi.Machine(
    underlay=abi.addr(UNDERLAY), underlay_ifindex=1, inner_mac=abi.mac(INNER_MAC), mtu=1500, toa_kind=254
)
TOLD = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
PORTS = {"steer": 80, "tunnel": 8080}
PROGRAMS = {"auto": "l4_ingress", "xdp": "l4_xdp"}
KINDS = {"auto": ("steer",), "xdp": ("steer", "tunnel")}


@contextmanager
def loaded(hook: str, role: str = "l4") -> Iterator[tuple[Datapath, int]]:
    """Have a role's programs, empty maps, and the index of the device that packets come in by, which knows UNDERLAY."""
    with tempfile.TemporaryDirectory() as folder, packet_namespace() as ifindex:
        root = Path(folder) / "bpf"
        root.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", root], check=True)
        try:
            made = datapath.load(root / role, role, Sizes(), CACHE, hook)
            neighbour = f"neigh add {UNDERLAY} lladdr 02:00:00:00:00:42 dev u0 nud permanent"
            subprocess.run(["ip", *neighbour.split()], check=True)
            clear(made.tables)
            made.tables["machine"].put(c_uint32(0), MACHINE)
            yield made, ifindex
            made.close()
            datapath.detach(root / role)
        finally:
            subprocess.run(["umount", root], check=True)


def publish(made: Datapath) -> None:
    """Write the sessions and the VPC of an L4 node."""
    tables = made.tables
    tables["owned"].put(abi.addr(VIP), c_uint32(Owned.VIP))
    host = abi.Endpoint(addr=abi.addr("100.64.0.1"), vtep=abi.addr(UNDERLAY), vni=VNI, mac=abi.mac(INNER_MAC), mtu=1450)
    tables["hosts"].put(abi.HostKey(addr=abi.addr(VM), vni=VNI), host)
    for vtep in (abi.Addr(), abi.addr(UNDERLAY)):
        tables["vteps"].put(abi.VtepKey(vtep=vtep, vni=VNI), abi.Traffic())
    there = flow(VIP, PORTS["steer"], CLIENT, 4210)
    _session(made, flow(CLIENT, 4210, VIP, PORTS["steer"]), there)
    _session(made, flow(CLIENT, 4210, VIP, PORTS["tunnel"]), flow(VM, 80, LADDR, 5000, vni=VNI))
    _session(made, flow(LADDR, 5000, VM, 80, vni=VNI), flow(VIP, PORTS["tunnel"], CLIENT, 4210))


def _session(made: Datapath, key: abi.Flow, peer: abi.Flow) -> None:
    value = abi.Session(peer=peer, direction=Direction.FORWARD, tcp_seen=TOLD, tunnel_sport=50000)
    made.tables["sessions"].put(key, value)


def packet(kind: str, ttl: int) -> bytes:
    return bytes(arrives(tcp(CLIENT, 4210, VIP, PORTS[kind], "A", ttl=ttl) / Raw(b"x" * 64)))


def check(made: Datapath, hook: str, ifindex: int, kind: str) -> None:
    """See that two runs bring the packet back, two hops older, whatever they did to it in between."""
    program = made.programs[PROGRAMS[hook]]
    first = run(program, packet(kind, 255), ifindex, is_xdp=hook == "xdp")
    second = run(program, first.packet, ifindex, is_xdp=hook == "xdp")
    assert (first.verdict, second.verdict) == (TC_ACT_REDIRECT, TC_ACT_REDIRECT)
    assert second.packet[14:] == packet(kind, 253)[14:]
    assert len(first.packet) - len(second.packet) == (50 if kind == "tunnel" else 0)


def nanoseconds(made: Datapath, hook: str, ifindex: int, kind: str) -> float:
    """Return how long one run takes: the median of many calls, each of many runs."""
    program = made.programs[PROGRAMS[hook]]
    return median(
        run(program, packet(kind, 255), ifindex, is_xdp=hook == "xdp", repeat=REPEAT).duration_ns for _ in range(CALLS)
    )
