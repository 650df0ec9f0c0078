"""Packet cases: one row is name, maps, packet in, verdict, packet out. Expected bytes come from scapy, never from us.

A row runs through BPF_PROG_TEST_RUN inside a network namespace of its own with one device, `u0`, whose only neighbour
is ROUTER: routes and neighbours that the helpers look up are real.
"""

import ctypes
import os
import random
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from userspace.node import abi, bpf
from userspace.node.abi import DropReason, Event
from userspace.node.maps import Table

TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT = 0, 2, 7
XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT = 0, 1, 2, 3, 4
# Rows say what they expect in TC's words.
SAME = {XDP_DROP: TC_ACT_SHOT, XDP_PASS: TC_ACT_OK, XDP_TX: TC_ACT_REDIRECT, XDP_REDIRECT: TC_ACT_REDIRECT}
ROUTER_MAC, SELF_MAC, NO_MAC = "02:00:00:00:00:01", "02:00:00:00:00:0a", "00:00:00:00:00:00"
CLEARED = (
    *("sessions", "endpoints", "hosts", "vteps", "services", "owned", "toa_trusted", "path_mtus"),
    *("splice_ends", "answers", "guard_paths", "guard_headers"),
)
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Case:
    """One row. `before` writes maps; `counters` are the drops and events expected to grow, all others must not.

    A `packet_out` without an Ethernet header leaves in a tunnel: XDP writes its MACs, on TC bpf_redirect_neigh() will.
    """

    name: str
    packet_in: Packet | bytes
    verdict: int
    packet_out: "Packet | bytes | Onward | None" = None
    before: tuple["Entry", ...] = ()
    counters: dict[DropReason | Event, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Onward:
    """A packet_out that goes back to the router: XDP writes its MACs, on TC bpf_redirect_neigh() will."""

    packet: Packet


@dataclass(frozen=True)
class Entry:
    """One map entry to write before a row runs. value: of a time, a function: rows are made long before they run."""

    table: str
    key: object
    value: object | Callable[[], object]

    def put(self, tables: Mapping[str, Table]) -> None:
        value = self.value() if callable(self.value) else self.value
        tables[self.table].put(self.key, value)  # type: ignore[arg-type]


def path_mtu(vtep: str, mtu: int, age: int = 0) -> Entry:
    """What a router said `age` seconds ago."""
    return Entry("path_mtus", abi.addr(vtep), lambda: abi.PathMtu(learnt_ns=time.monotonic_ns() - age * 10**9, mtu=mtu))


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
            "route add 203.0.113.99 via 10.0.0.1 mtu lock 1400",
            "addr add 2001:db8::10/64 dev u0 nodad",
            f"-6 neigh add 2001:db8::1 lladdr {ROUTER_MAC} dev u0 nud permanent",
            "-6 route add default via 2001:db8::1",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        for name in ("net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding"):
            subprocess.run(["sysctl", "-qw", f"{name}=1"], check=True)
        yield _ifindex("u0")
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(home)


def _ifindex(name: str) -> int:
    out = subprocess.check_output(["ip", "-o", "link", "show", name], text=True)
    return int(out.split(":")[0])


def run(
    program: int, packet: bytes, ifindex: int, flags: int = 0, is_xdp: bool = False, repeat: int = 1
) -> bpf.TestRun:
    """Run a program on one packet that came in by the device; the verdict is TC's word for it."""
    if is_xdp:
        context = struct.pack("=IIIIII", 0, len(packet), 0, ifindex, 0, 0)
        ran = bpf.test_run(program, packet, context, repeat)
        return bpf.TestRun(SAME[ran.verdict], ran.packet, ran.duration_ns)
    context = bytearray(192)
    struct.pack_into("=II", context, 36, ifindex, ifindex)
    return bpf.test_run(program, packet, bytes(context), repeat, flags)


def run_case(
    case: Case, program: int, tables: dict[str, Table], ifindex: int, flags: int = 0, is_xdp: bool = False
) -> None:
    """Run one row and compare verdict, every byte of the packet, and every counter."""
    clear(tables)
    for entry in case.before:
        entry.put(tables)
    counters = counted(tables)
    ran = run(program, bytes(case.packet_in), ifindex, flags, is_xdp)
    grown = {key: now - counters[key] for key, now in counted(tables).items() if now != counters[key]}
    assert (ran.verdict, grown) == (case.verdict, named(case.counters)), f"{case.name}: verdict, counters"
    expected = frame(case.packet_out, is_xdp)
    if expected is not None and ran.packet != expected:
        shown = [Ether(data).show(dump=True) for data in (expected, ran.packet)]
        raise AssertionError(f"{case.name}\n--- expected\n{shown[0]}\n--- got\n{shown[1]}")


def frame(packet: Packet | bytes | Onward | None, is_xdp: bool) -> bytes | None:
    """Return the bytes of a row's packet_out as the hook leaves them."""
    if isinstance(packet, Onward):
        return bytes((leaves if is_xdp else arrives)(packet.packet))
    if isinstance(packet, IP | IPv6):
        return bytes(leaves(packet) if is_xdp else Ether(src=NO_MAC, dst=NO_MAC) / packet)
    return None if packet is None else bytes(packet)


def damaged(packet: bytes, rng: random.Random, least: int) -> bytes:
    """Return the packet cut, padded, or with bytes changed; at least `least` bytes, as test runs demand of IPv4."""
    broken = bytearray(packet)
    for _ in range(rng.randint(1, 4)):
        broken[rng.randrange(12, len(broken))] = rng.choice((0, 0xFF, rng.randrange(256)))
    length = rng.choice((len(broken), rng.randint(min(least, len(broken)), len(broken)), len(broken) + 8))
    length = max(length, least)
    return bytes(broken[:length].ljust(length, b"\0"))


def clear(tables: dict[str, Table]) -> None:
    """Empty every hash that a row may write."""
    for name in CLEARED:
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


def ip(src: str, dst: str, **fields: object) -> Packet:
    """Return an IP header of the addresses' family; `ttl`, `tos`, `len` in IPv4's words, `len` of the whole packet."""
    if ":" not in src:
        return IP(src=src, dst=dst, **fields)
    words = {"ttl": "hlim", "tos": "tc", "len": "plen"}
    return IPv6(src=src, dst=dst, **{words[k]: v - 40 if k == "len" else v for k, v in fields.items()})  # type: ignore[operator]


def tcp(src: str, sport: int, dst: str, dport: int, flags: str = "S", **fields: object) -> Packet:
    """Return IP/TCP with usual values; `options`, `seq`, `ack`, `window` as in scapy; `ttl`, `tos` of the IP header."""
    outer = {key: fields.pop(key) for key in ("ttl", "tos", "id", "frag", "len", "ihl") if key in fields}
    return ip(src, dst, **outer) / TCP(sport=sport, dport=dport, flags=flags, **fields)


def udp(src: str, sport: int, dst: str, dport: int, ttl: int = 64, **fields: object) -> Packet:
    return ip(src, dst, ttl=ttl) / UDP(sport=sport, dport=dport, **fields)


def arrives(packet: Packet) -> Packet:
    """Return the packet as the router hands it to us."""
    return Ether(src=ROUTER_MAC, dst=SELF_MAC) / packet


def leaves(packet: Packet) -> Packet:
    """Return the packet as it goes back to the router."""
    return Ether(src=SELF_MAC, dst=ROUTER_MAC) / packet
