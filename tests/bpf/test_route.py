"""route.h: ways that are remembered for a moment, and what that must not change."""

import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_uint32

import pytest
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.bpf.conftest import Datapaths
from tests.bpf.l4_rows import CLIENT, GATEWAY, LADDR, VIP, machine
from tests.packets import ROUTER_MAC, TC_ACT_REDIRECT, arrives, clear, flow, run, tcp
from userspace.node import abi, bpf
from userspace.node.abi import Direction, TcpSeen
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf
TOLD = TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
NARROW = "203.0.113.99"  # its route takes 1400 bytes
NEAR, NEAR_MAC, MOVED_MAC = "10.0.0.78", "02:00:00:00:00:78", "02:00:00:00:00:79"
PORTS = 65536


class L4:
    """An L4 node's program, and a client's sessions: from port 1 to a gateway behind the router, from 2 to one on the
    link, from 3 to one that takes 1400 bytes."""

    def __init__(self, loaded: Datapath, ifindex: int, is_xdp: bool) -> None:
        self._program = loaded.programs["l4_xdp" if is_xdp else "l4_ingress"]
        self._ifindex, self._is_xdp = ifindex, is_xdp
        clear(loaded.tables)
        loaded.tables["machine"].put(c_uint32(0), machine().value)
        for port, target in ((1, GATEWAY), (2, NEAR), (3, NARROW)):
            peer = flow(target, 80, LADDR, 5000)
            value = abi.Session(peer=peer, direction=Direction.FORWARD, tcp_seen=TOLD)
            loaded.tables["sessions"].put(flow(CLIENT, port, VIP, 80), value)

    def sends(self, port: int, payload: int = 1, gso_size: int = 0) -> Ether:
        """Return what becomes of a packet from that port of the client's, which a device will cut up by `gso_size`."""
        packet = bytes(arrives(tcp(CLIENT, port, VIP, 80, "A") / Raw(b"x" * payload)))
        if gso_size:
            context = bytearray(192)  # struct __sk_buff: ingress_ifindex, ifindex, gso_size
            for at, value in ((36, self._ifindex), (40, self._ifindex), (176, gso_size)):
                struct.pack_into("=I", context, at, value)
            ran = bpf.test_run(self._program, packet, bytes(context), 1, 0)
        else:
            ran = run(self._program, packet, self._ifindex, is_xdp=self._is_xdp)
        assert ran.verdict == TC_ACT_REDIRECT
        return Ether(ran.packet)


@contextmanager
def neighbour() -> Iterator[None]:
    ip("neigh", "replace", NEAR, "lladdr", NEAR_MAC, "dev", "u0", "nud", "permanent")
    try:
        yield
    finally:
        ip("neigh", "del", NEAR, "dev", "u0")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture(params=["tc", "xdp"])
def hook(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def one_cpu() -> Iterator[None]:
    """Each CPU remembers for itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def l4_node(hook: str, datapaths: Datapaths, ifindex: int) -> L4:
    is_xdp = hook == "xdp"
    return L4(datapaths("l4", "xdp" if is_xdp else "auto"), ifindex, is_xdp)


def move() -> None:
    ip("neigh", "replace", NEAR, "lladdr", MOVED_MAC, "dev", "u0", "nud", "permanent")


def test_a_way_is_remembered_and_a_changed_one_found_within_a_moment(l4_node: L4) -> None:
    for _ in range(50):  # until nothing has come between us
        with neighbour():
            while l4_node.sends(2).dst != NEAR_MAC:
                time.sleep(0.02)
            begun = time.monotonic()
            l4_node.sends(2)
            move()
            still = l4_node.sends(2).dst
            took = time.monotonic() - begun
            while l4_node.sends(2).dst != MOVED_MAC:
                assert time.monotonic() - begun < 5, "remembered for ever"
                time.sleep(0.02)
        if took < 0.02 and still == NEAR_MAC:
            return
    raise AssertionError("every packet asks the kernel")


def test_another_flow_never_has_the_way_of_one_in_its_place(hook: str, datapaths: Datapaths, ifindex: int) -> None:
    place = place_of(flow(GATEWAY, 80, LADDR, 5000))
    port = next(n for n in range(1, PORTS) if place_of(flow(NEAR, n, LADDR, 5000)) == place)
    is_xdp = hook == "xdp"
    loaded = datapaths("l4", "xdp" if is_xdp else "auto")
    node = L4(loaded, ifindex, is_xdp)
    value = abi.Session(peer=flow(NEAR, port, LADDR, 5000), direction=Direction.FORWARD, tcp_seen=TOLD)
    loaded.tables["sessions"].put(flow(CLIENT, 2, VIP, 80), value)
    with neighbour():
        for _ in range(3):
            assert node.sends(1).dst == ROUTER_MAC
            assert node.sends(2).dst == NEAR_MAC


def test_a_packet_that_is_too_long_for_a_remembered_way_is_refused(l4_node: L4) -> None:
    for _ in range(3):
        assert l4_node.sends(3, payload=1360)["IP"].dst == NARROW
        refusal = l4_node.sends(3, payload=1361)
        assert (refusal["IP"].dst, refusal["ICMP"].type, refusal["ICMP"].nexthopmtu) == (CLIENT, 3, 1400)


def test_a_way_that_was_found_for_segments_says_nothing_of_how_long_a_packet_may_be(l4: Datapath, ifindex: int) -> None:
    node = L4(l4, ifindex, is_xdp=False)
    time.sleep(0.3)  # nothing of the tests before is remembered
    assert node.sends(3, payload=3000, gso_size=1000)["IP"].dst == NARROW
    assert node.sends(3, payload=1361)["ICMP"].nexthopmtu == 1400
    assert node.sends(3, payload=3000, gso_size=1000)["IP"].dst == NARROW


def test_a_session_goes_on_after_its_vip_is_published_no_longer(l4_node: L4) -> None:
    assert l4_node.sends(1)["IP"].dst == GATEWAY  # `owned` is empty here


def place_of(key: abi.Flow) -> int:
    """Return route_place() of route.h."""
    raw = bytes(key)
    words = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, 44, 4)]
    hash = words[10]
    for word in words[:9]:
        hash = ((hash ^ word) * 0x9E3779B1) & 0xFFFFFFFF
    return ((hash >> 16) ^ hash) % 1024
