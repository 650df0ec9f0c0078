"""What a spliced packet costs, and the guard for each byte of a request head, by BPF_PROG_TEST_RUN.

`data`, `answer`: splices whose translation is the identity, so that a run may be repeated on what the run before left
(program_runs.py); a client's bytes that the guard has let through, and an endpoint's. `tunnel`: two splices, of which
one puts the packet into the VNI and the other takes it out, in turns, on XDP.

A head is new once only, so it is judged in calls of one run each, with the splice written anew before. Such a call's
time has a fixed part that is the call's own, so what counts is the slope between heads of two lengths: once with one
long header, and once with many short ones, each of which is looked up by name.
"""

from ctypes import c_uint32
from statistics import median

from scapy.packet import Raw

from tests.bench.program_runs import CALLS, INNER_MAC, LADDR, REPEAT, UNDERLAY, VM, VNI
from tests.bpf import splice_machine
from tests.bpf.splice_machine import CLIENT, GUARD_MAPS, from_client
from tests.packets import TC_ACT_REDIRECT, arrives, flow, run, tcp
from userspace.node import abi
from userspace.node.abi import Direction
from userspace.node.datapath import Datapath
from userspace.node.splice_abi import Kind, Splice, SpliceEnd

SELF = "10.100.0.10"  # a VIP: no address of the device itself
PROGRAMS = {"auto": "vxlan_ingress", "xdp": "vxlan_xdp"}
KINDS = {"auto": ("data", "answer"), "xdp": ("data", "answer", "tunnel")}
UNIQUE = "100.64.0.1"
GENERATION = splice_machine.GENERATION
SHORT, LONG = 100, 1000
HEADS_JUDGED = 2000
WAYS = {"one long header": 900, "lines of 40 bytes": 40}


def prepare(made: Datapath) -> None:
    """Write what every guard needs."""
    for entry in GUARD_MAPS:
        entry.put(made.tables)


def there_and_back(client: abi.Flow, endpoint: abi.Flow, **fields: object) -> Splice:
    """A splice of two flows as their packets arrive, with the same numbers on both sides."""
    made = splice_machine.splice(delta=(0, 0), end=(1000, 9000), acked=(9000, 1000), **fields)
    made.from_[0], made.from_[1] = client, endpoint
    return made


def publish(made: Datapath, id: int, splice: Splice) -> None:
    tables = made.tables
    tables["splices"].put(c_uint32(id), splice)
    for way in (0, 1):
        if splice.from_[way].vni:
            leased = abi.Session(direction=Direction.SPLICED, target=id, target_generation=GENERATION)
            tables["sessions"].put(splice.from_[way], leased)
        else:
            end = SpliceEnd(id=id, generation=GENERATION, direction=way)
            tables["splice_ends"].put(splice.from_[way], end)


def repeatable(made: Datapath, kind: str) -> None:
    """Write the splices that turn a packet of `packet(kind)` into one for themselves."""
    there, back = flow(CLIENT, 50000, SELF, 80), flow(SELF, 80, CLIENT, 50000)
    if kind != "tunnel":
        ends = (there, back) if kind == "data" else (back, there)
        publish(made, 3, there_and_back(*ends, kind=Kind.GUARDED, head=2000))
        return
    tables = made.tables
    out, home = flow(VM, 80, LADDR, 6000, vni=VNI), flow(LADDR, 6000, VM, 80, vni=VNI)
    endpoint = abi.Endpoint(
        addr=abi.addr(VM), vtep=abi.addr(UNDERLAY), vni=VNI, mac=abi.mac(INNER_MAC), mtu=1450, account=1
    )
    tables["endpoints"].put(abi.addr(UNIQUE), endpoint)
    for vtep in (abi.Addr(), abi.addr(UNDERLAY)):
        tables["vteps"].put(abi.VtepKey(vtep=vtep, vni=VNI), abi.Traffic())
    publish(made, 3, there_and_back(there, out, vpc=True, kind=Kind.OPAQUE, unique_ip=abi.addr(UNIQUE)))
    publish(made, 4, there_and_back(back, home, vpc=True, kind=Kind.OPAQUE, unique_ip=abi.addr(UNIQUE)))


def packet(ttl: int, seq: int = 1000) -> bytes:
    return bytes(arrives(tcp(CLIENT, 50000, SELF, 80, "PA", ttl=ttl, seq=seq, ack=9000, window=500) / Raw(b"x" * 64)))


def check(made: Datapath, hook: str, ifindex: int, kind: str) -> None:
    """See that two runs bring the packet back, two hops older, whatever they did to it in between."""
    program = made.programs[PROGRAMS[hook]]
    first = run(program, packet(255), ifindex, is_xdp=hook == "xdp")
    second = run(program, first.packet, ifindex, is_xdp=hook == "xdp")
    assert (first.verdict, second.verdict) == (TC_ACT_REDIRECT, TC_ACT_REDIRECT), (first.verdict, second.verdict)
    assert second.packet[14:] == packet(253)[14:]
    assert len(first.packet) - len(second.packet) == (50 if kind == "tunnel" else 0)


def nanoseconds(made: Datapath, hook: str, ifindex: int, kind: str) -> float:
    """Return how long one run takes: the median of many calls, each of many runs."""
    repeatable(made, kind)
    check(made, hook, ifindex, kind)
    program = made.programs[PROGRAMS[hook]]
    return median(
        run(program, packet(255), ifindex, is_xdp=hook == "xdp", repeat=REPEAT).duration_ns for _ in range(CALLS)
    )


def head(length: int, line: int) -> bytes:
    """Return a request head of `length` bytes that the guard covers, filled up with headers of `line` bytes."""
    begins = splice_machine.HEAD[:-2]
    rest = length - len(begins) - 2
    lines = []
    while rest:
        taken = rest if rest < 2 * line else line
        name = b"X-%02d: " % len(lines)
        lines.append(name + b"v" * (taken - len(name) - 2) + b"\r\n")
        rest -= taken
    return begins + b"".join(lines) + b"\r\n"


def judged(made: Datapath, hook: str, ifindex: int, text: bytes) -> float:
    """Return the nanoseconds of a call that judges a new head, the median of many."""
    program, is_xdp = made.programs[PROGRAMS[hook]], hook == "xdp"
    fresh = splice_machine.splice(kind=Kind.GUARDED)
    publish(made, 3, fresh)
    sent, took = bytes(from_client("PA", text)), []
    for _ in range(HEADS_JUDGED):
        made.tables["splices"].put(c_uint32(3), fresh)
        ran = run(program, sent, ifindex, is_xdp=is_xdp)
        took.append(ran.duration_ns)
    assert ran.verdict == TC_ACT_REDIRECT
    after = Splice.from_buffer_copy(made.tables["splices"].get(c_uint32(3)) or b"")
    assert (after.requests, after.head) == (1, splice_machine.C_SEQ + len(text)), (
        "it was not judged, or not let through"
    )
    return median(took)


def per_head_byte(made: Datapath, hook: str, ifindex: int, line: int) -> float:
    short, long = (judged(made, hook, ifindex, head(length, line)) for length in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)
