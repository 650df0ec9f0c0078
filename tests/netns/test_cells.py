"""The datapath's packets as Wireshark sees them; and none lost while programs are swapped or neighbours forgotten."""

import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from tests.netns import cells
from tests.netns.cell_ends import ECHO, VPC_WEB, WEB, Server, asked, transfer
from tests.netns.cell_nodes import NODES, SIZES, bring_up
from tests.netns.cells import UNIQUE, UNIQUE6, VIP, VIP6, inside
from tests.packets import NO_MAC
from userspace.node import bpf, datapath
from userspace.node.abi import DropReason, Event
from userspace.node.forwarding import Forwarding

pytestmark = [pytest.mark.netns, pytest.mark.apart]
MTU = 1500
HOOKS = ("xdp", "auto")  # as test_matrix.py left it: each change of hook compiles
SWAPS = 500
BETWEEN = 10  # answers, at least, from one swap to the next
# A sum of 0 may stand as ffff, as Linux's own skb_checksum_help() writes it; tshark minds that in TCP (RFC 1624).
SUMS = ('ip.checksum.status == "Bad"', 'udp.checksum.status == "Bad"', 'icmp.checksum.status == "Bad"')
TCP_SUM = '(tcp.checksum.status == "Bad" && !(tcp.checksum == 0xffff))'
WRONG = " || ".join(("_ws.malformed", *SUMS, TCP_SUM))
CHECKED = [word for p in ("ip", "tcp", "udp") for word in ("-o", f"{p}.check_checksum:TRUE")]
# What is sent here is random, and a client's or local port may be one that tshark knows: it is data.
PORTS = ("tcp.port==1-65535", "udp.port==53")
AS_DATA = [word for ports in PORTS for word in ("-d", f"{ports},data")]

Node = Callable[[str, str], Forwarding]


@pytest.fixture(scope="module")
def hook(request: pytest.FixtureRequest) -> str:
    """The hook, of the module's scope: pytest groups tests by it."""
    return str(request.param)


@pytest.fixture
def node(cell_pins: Path, cell_cache: Path) -> Iterator[Node]:
    """Bring a node up by (name, hook), on wires without offloads."""
    with ExitStack() as nodes:

        def up(name: str, hook: str) -> Forwarding:
            found = bring_up(name, hook, MTU, cell_pins, cell_cache)
            nodes.callback(found.close)
            return found

        cells.set_wires(MTU, offloads=False)
        yield up


@contextmanager
def captured(place: str, file: Path) -> Iterator[None]:
    """Capture all that a machine sends and receives."""
    with inside(place):
        argv = ["tcpdump", "-i", "eth0", "-nn", "-B", "16384", "--immediate-mode", "-Z", "root", "-w", str(file)]
        tcpdump = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert tcpdump.stderr is not None
    try:
        said = tcpdump.stderr.readline()
        while "listening on" not in said:
            assert said, "tcpdump has ended"
            said = tcpdump.stderr.readline()
        yield
    finally:
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait()
        tcpdump.stderr.close()


def shown(file: Path, only: str) -> list[str]:
    """Return tshark's lines about the packets that match."""
    argv = ["tshark", "-n", "-r", str(file), *CHECKED, *AS_DATA, "-Y", only]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("hook", HOOKS, indirect=True)
def test_tshark_finds_no_malformed_packet_and_no_wrong_checksum(
    node: Node, server: Server, hook: str, tmp_path: Path
) -> None:
    for name in NODES:
        node(name, hook)
    places = ("client", "server", "host")
    for place in places:  # aggregated by GRO, a packet is none that was on the wire
        with inside(place):
            subprocess.run(["ethtool", "-K", "eth0", "gro", "off"], check=True, capture_output=True)
    with ExitStack() as captures:
        for place in places:
            captures.enter_context(captured(place, tmp_path / place))
        for to in ((VIP, WEB), (VIP6, WEB), (VIP, VPC_WEB), (VIP6, VPC_WEB)):
            transfer("client", to, server)
        for unique in (UNIQUE, UNIQUE6):
            transfer("gateway", (unique, WEB), server)
        assert asked("client", (VIP, ECHO), [b"question"])
    kinds = {
        "client": ("tcp && ip", "tcp && ipv6", "udp"),
        "server": ("tcp && ip", "tcp && ipv6"),
        "host": ("vxlan && ip", "vxlan && ipv6"),
    }
    for place in places:
        assert shown(tmp_path / place, WRONG) == []
        for kind in kinds[place]:
            assert shown(tmp_path / place, kind), f"no {kind} at the {place}"


def test_tshark_would_have_found_one(tmp_path: Path) -> None:
    wrong = [
        IP(src="192.0.2.2", dst="192.0.2.1") / TCP(chksum=1),
        IP(src="192.0.2.2", dst="192.0.2.1") / UDP(chksum=1),
        IP(src="192.0.2.2", dst="192.0.2.1", chksum=1) / UDP(),
        IP(src="192.0.2.2", dst="192.0.2.1", proto=6) / Raw(b"too short"),
    ]
    for number, packet in enumerate(wrong):
        wrpcap(str(tmp_path / str(number)), [Ether(src=NO_MAC, dst=NO_MAC) / packet])
        assert len(shown(tmp_path / str(number), WRONG)) == 1


def test_random_bytes_at_a_port_that_tshark_knows_are_not_malformed(tmp_path: Path) -> None:
    rng = random.Random(1)
    ports = {"sport": 34980, "dport": 80}  # EtherCAT's
    packets = [
        Ether(src=NO_MAC, dst=NO_MAC)
        / IP(src="192.0.2.2", dst="192.0.2.1")
        / TCP(**ports, flags="A", seq=1 + 1400 * number)
        / rng.randbytes(1400)
        for number in range(50)
    ]
    wrpcap(str(tmp_path / "known"), packets)
    assert len(shown(tmp_path / "known", "tcp")) == 50
    assert shown(tmp_path / "known", WRONG) == []


class Echoes:
    """Datagrams that go to the VIP and back, always so many under way, each with a number of its own."""

    WINDOW = 32

    def __init__(self) -> None:
        with inside("client"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(3)
        self.socket.connect((VIP, ECHO))
        self.sent, self.answered = 0, 0
        self.lost: set[int] = set()
        self.ending = False
        self.progress = threading.Condition()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        under_way: set[int] = set()
        while under_way or not self.ending:
            while len(under_way) < self.WINDOW and not self.ending:
                self.socket.send(self.sent.to_bytes(4, "big"))
                under_way.add(self.sent)
                self.sent += 1
            try:
                under_way.discard(int.from_bytes(self.socket.recv(64), "big"))
            except TimeoutError:
                self.lost |= under_way
            with self.progress:
                self.answered += not self.lost
                self.progress.notify()
            if self.lost:
                return

    def more(self, count: int) -> None:
        """Wait for so many answers more, or for a loss."""
        with self.progress:
            wanted = self.answered + count
            assert self.progress.wait_for(lambda: self.lost or self.answered >= wanted, 30)

    def __enter__(self) -> "Echoes":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending = True
        self.thread.join()
        self.socket.close()


@pytest.mark.parametrize("hook", HOOKS, indirect=True)
def test_no_packet_is_lost_while_programs_are_swapped(
    node: Node, server: Server, hook: str, cell_pins: Path, cell_cache: Path
) -> None:
    first = node("l4", hook)
    function = "l4_xdp" if hook == "xdp" else "l4_ingress"
    link = first.datapath.links[function]
    shutil.rmtree(first.datapath.root / "programs")  # so that the other one is a build of its own
    second = datapath.load(cell_pins / "l4", "l4", SIZES, cell_cache, hook)
    builds = [first.datapath.programs[function], second.programs[function]]
    assert bpf.program_id(builds[0]) != bpf.program_id(builds[1])
    try:
        with Echoes() as echoes:
            for swap in range(SWAPS):
                bpf.link_update(link, builds[(swap + 1) % 2])
                assert bpf.link_program_id(link) == bpf.program_id(builds[(swap + 1) % 2])
                echoes.more(BETWEEN)
        assert (echoes.lost, echoes.answered) == (set(), echoes.sent)
        assert echoes.sent >= SWAPS * BETWEEN
    finally:
        bpf.link_update(link, builds[1])
        second.close()


@pytest.mark.parametrize("hook", ["xdp"], indirect=True)
def test_a_neighbour_that_xdp_does_not_know_costs_no_packet(node: Node, server: Server, hook: str) -> None:
    tables = node("l4", hook).datapath.tables
    before = tables["events"].totals(len(Event))[Event.NEIGH_SLOW]
    for question in (b"one", b"two", b"three"):
        cells.ip("l4", "neighbour flush dev eth0")
        assert asked("client", (VIP, ECHO), [question])
    assert tables["events"].totals(len(Event))[Event.NEIGH_SLOW] >= before + 3
    assert tables["drops"].totals(len(DropReason))[DropReason.NO_NEIGHBOUR] == 0
