"""Packet cases: one row is name, maps, packet in, verdict, packet out. Expected bytes come from scapy, never from us.

A row runs through BPF_PROG_TEST_RUN inside a network namespace of its own with one device, `u0`, whose only neighbour
is ROUTER: routes and neighbours that the helpers look up are real.
"""

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from userspace.node import abi, bpf
from userspace.node.abi import DropReason, Event
from userspace.node.maps import Table

TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT = 0, 2, 7
ROUTER_MAC, SELF_MAC = "02:00:00:00:00:01", "02:00:00:00:00:0a"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Case:
    """One row. `before` writes maps; `counters` are the drops and events expected to grow, all others must not."""

    name: str
    packet_in: Packet | bytes
    verdict: int
    packet_out: Packet | bytes | None = None
    before: tuple["Entry", ...] = ()
    counters: dict[DropReason | Event, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One map entry to write before a row runs."""

    table: str
    key: object
    value: object


def dropped(name: str, packet: Packet | bytes, reason: DropReason, *before: Entry, **extra: int) -> Case:
    """Return a row whose packet is dropped for `reason`."""
    events = {Event[key.upper()]: n for key, n in extra.items()}
    return Case(name, packet, TC_ACT_SHOT, None, before, {reason: 1, **events})


def passed(name: str, packet: Packet | bytes, *before: Entry) -> Case:
    """Return a row whose packet goes to the stack unchanged."""
    return Case(name, packet, TC_ACT_OK, packet, before)


@contextmanager
def packet_namespace() -> Iterator[int]:
    """Enter a network namespace with the device u0 at 10.0.0.10/24; yield its interface index."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        for line in (
            f"link add u0 address {SELF_MAC} type veth peer name u1",
            "link set lo up",
            "link set u1 up",
            "link set u0 up",
            "addr add 10.0.0.10/24 dev u0",
            f"neigh add 10.0.0.1 lladdr {ROUTER_MAC} dev u0 nud permanent",
            "route add default via 10.0.0.1",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        subprocess.run(["sysctl", "-qw", "net.ipv4.conf.all.forwarding=1"], check=True)
        yield _ifindex("u0")
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(home)


def _ifindex(name: str) -> int:
    out = subprocess.check_output(["ip", "-o", "link", "show", name], text=True)
    return int(out.split(":")[0])


def run_case(case: Case, program: int, tables: dict[str, Table], ifindex: int, flags: int) -> None:
    """Run one row and compare verdict, every byte of the packet, and every counter."""
    clear(tables)
    for entry in case.before:
        tables[entry.table].put(entry.key, entry.value)  # type: ignore[arg-type]
    counters = counted(tables)
    context = bytearray(192)
    struct.pack_into("=II", context, 36, ifindex, ifindex)
    packet = bytes(case.packet_in)
    ran = bpf.test_run(program, packet, bytes(context), flags=flags)
    grown = {key: now - counters[key] for key, now in counted(tables).items() if now != counters[key]}
    assert (ran.verdict, grown) == (case.verdict, named(case.counters)), f"{case.name}: verdict, counters"
    if case.packet_out is not None:
        expected = bytes(case.packet_out)
        shown = [Ether(data).show(dump=True) for data in (expected, ran.packet)]
        assert ran.packet == expected, f"{case.name}\n--- expected\n{shown[0]}\n--- got\n{shown[1]}"


def clear(tables: dict[str, Table]) -> None:
    """Empty every hash that a row may write."""
    for name in ("sessions", "endpoints", "vteps", "services", "owned", "toa_trusted"):
        for key, _ in tables[name].items() if name in tables else ():
            tables[name].delete(key)


def named(counters: dict[DropReason | Event, int]) -> dict[str, int]:
    """Return the counters by "DropReason.X" or "Event.X": members of both compare equal as integers."""
    return {f"{type(key).__name__}.{key.name}": n for key, n in counters.items()}


def counted(tables: dict[str, Table]) -> dict[str, int]:
    drops = zip(DropReason, tables["drops"].totals(len(DropReason)), strict=True)
    events = zip(Event, tables["events"].totals(len(Event)), strict=True)
    return {**named(dict(drops)), **named(dict(events))}


def flow(saddr: str, sport: int, daddr: str, dport: int, vni: int = 0, proto: int = 6) -> abi.Flow:
    return abi.Flow(saddr=abi.addr(saddr), daddr=abi.addr(daddr), sport=sport, dport=dport, vni=vni, proto=proto)


def tcp(src: str, sport: int, dst: str, dport: int, flags: str = "S", **fields: object) -> Packet:
    """Return IP/TCP with usual values; `options`, `seq`, `ack`, `window` as in scapy; `ttl`, `tos` of the IP header."""
    ip = {key: fields.pop(key) for key in ("ttl", "tos", "id", "frag", "len", "ihl", "options_ip") if key in fields}
    return IP(src=src, dst=dst, **ip) / TCP(sport=sport, dport=dport, flags=flags, **fields)


def udp(src: str, sport: int, dst: str, dport: int, **fields: object) -> Packet:
    return IP(src=src, dst=dst) / UDP(sport=sport, dport=dport, **fields)


def arrives(packet: Packet) -> Packet:
    """Return the packet as the router hands it to us."""
    return Ether(src=ROUTER_MAC, dst=SELF_MAC) / packet


def leaves(packet: Packet) -> Packet:
    """Return the packet as it goes back to the router."""
    return Ether(src=SELF_MAC, dst=ROUTER_MAC) / packet
