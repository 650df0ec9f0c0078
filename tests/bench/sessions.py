"""A million sessions: kernel memory, how long a sweep takes and what it costs; local ports exhausted and recovered.

No traffic: sessions are written to the maps as the programs write them, packets run through BPF_PROG_TEST_RUN.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_uint32
from pathlib import Path

from tests.bench.report import publish
from tests.packets import arrives, packet_namespace, tcp
from tests.packets import run as run_packet
from userspace.node import abi, bpf, datapath
from userspace.node.abi import Direction, DropReason, Owned, TcpSeen
from userspace.node.ageing import Timeouts, sweep
from userspace.node.datapath import Datapath, Sizes

SESSIONS = 1_000_000
ROUNDS = 3
PORTS = 512  # of the pool that is exhausted
VIP, LADDR, GATEWAY = "10.100.0.10", "10.100.1.1", "10.1.0.11"
ALIVE = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER


@contextmanager
def loaded() -> Iterator[Datapath]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "bpf", "bpf", folder], check=True)
        try:
            made = datapath.load(Path(folder) / "l4", "l4", Sizes(flows=2 * SESSIONS), Path(folder).parent)
            yield made
            made.close()
            datapath.detach(Path(folder) / "l4")
        finally:
            subprocess.run(["umount", folder], check=True)


def pairs(count: int, last_seen_ns: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of `count` established sessions."""
    common = {"tcp_seen": ALIVE, "last_seen_ns": last_seen_ns, "account": 1}
    vip, laddr, gateway = (abi.addr(a) for a in (VIP, LADDR, GATEWAY))
    for number in range(count):
        client = abi.Addr.from_buffer_copy(bytes(10) + b"\xff\xff" + (0x0B000000 + number // 60000).to_bytes(4, "big"))
        port = 1024 + number % 60000
        forward = abi.Flow(saddr=client, daddr=vip, sport=port, dport=80, proto=6)
        reply = abi.Flow(saddr=gateway, daddr=laddr, sport=80, dport=port, vni=number // 60000, proto=6)
        yield bytes(forward), bytes(abi.Session(peer=reply, direction=Direction.FORWARD, **common))
        yield bytes(reply), bytes(abi.Session(peer=forward, direction=Direction.REPLY, **common))


def swept(made: Datapath, ahead: float, keep: Timeouts) -> tuple[float, float, int]:
    """Sweep as of `ahead` seconds from now; return seconds, CPU seconds and how many sessions went."""
    wall, cpu = time.monotonic(), time.process_time()
    found = sweep(made.tables["sessions"], time.monotonic_ns() + int(ahead * 1e9), keep)
    return time.monotonic() - wall, time.process_time() - cpu, found.removed


def publish_vip(made: Datapath) -> None:
    """One VIP, one gateway, one local address with PORTS ports."""
    machine = abi.Machine(laddr_count=1, port_min=5000, port_max=5000 + PORTS - 1, mtu=1500, toa_kind=254)
    made.tables["machine"].put(c_uint32(0), machine)
    for address, role in ((VIP, Owned.VIP), (LADDR, Owned.LADDR)):
        made.tables["owned"].put(abi.addr(address), c_uint32(role))
    made.tables["laddrs"].put(c_uint32(0), abi.addr(LADDR))
    made.tables["targets"].put(c_uint32(1), abi.Target(addr=abi.addr(GATEWAY), port=80))
    keys = b"".join(bytes(c_uint32(i)) for i in range(abi.RING_SIZE))
    bpf.map_update_batch(made.tables["rings"].fd, keys, bytes(c_uint32(1)) * abi.RING_SIZE, abi.RING_SIZE)
    made.tables["services"].put(abi.ServiceKey(addr=abi.addr(VIP), port=80, proto=6), abi.Service())


def opened(made: Datapath, ifindex: int, first: int, count: int) -> int:
    """Send SYNs of `count` clients; return how many got a session."""
    before = made.tables["drops"].totals(len(DropReason))[DropReason.PORTS_EXHAUSTED]
    for number in range(first, first + count):
        syn = bytes(arrives(tcp(f"203.0.{113 + number // 250}.{1 + number % 250}", 4210, VIP, 80)))
        run_packet(made.programs["l4_ingress"], syn, ifindex)
    return count - (made.tables["drops"].totals(len(DropReason))[DropReason.PORTS_EXHAUSTED] - before)


def exhaust(made: Datapath) -> tuple[int, int]:
    """Return how many sessions of twice the pool's ports were opened, and again after ageing took all away."""
    publish_vip(made)
    with packet_namespace() as ifindex:
        first = opened(made, ifindex, 0, 2 * PORTS)
        swept(made, 3600, Timeouts())
        return first, opened(made, ifindex, 2 * PORTS, PORTS // 2)


def run() -> None:
    results: dict[str, tuple[list[float], str]] = {}

    def note(name: str, value: float, unit: str) -> None:
        results.setdefault(name, ([], unit))[0].append(value)

    with loaded() as made:
        table = made.tables["sessions"]
        for _ in range(ROUNDS):
            started = time.monotonic()
            table.put_many(pairs(SESSIONS, time.monotonic_ns()))
            note("filling", time.monotonic() - started, "s")
            note("kernel memory per session", bpf.memory_locked(table.fd) / SESSIONS, "B")
            wall, cpu, _ = swept(made, 0, Timeouts())
            note("sweep, all alive", wall, "s")
            note("sweep, all alive, CPU", cpu, "s")
            wall, cpu, gone = swept(made, 3600, Timeouts())
            note("sweep, all expired", wall, "s")
            note("sweep, all expired, CPU", cpu, "s")
            note("expired", gone, "sessions")
            first, again = exhaust(made)
            note(f"opened of {2 * PORTS} with {PORTS} ports", first, "sessions")
            note(f"opened of {PORTS // 2} after ageing", again, "sessions")
            swept(made, 3600, Timeouts())
    publish("sessions", ROUNDS, {"unilb": results})
