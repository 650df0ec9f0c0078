"""The L4 tier, every row on TC, on TC with a NIC that sums, on XDP, and again after the programs were swapped."""

import random
import shutil
from ctypes import c_uint32
from pathlib import Path

import pytest
from scapy.layers.l2 import Ether

from tests.bpf.conftest import SIZES
from tests.bpf.l4_more_rows import OPEN6, ROWS, TUNNEL_ROWS, UDP_OPEN, VPC_TOLD
from tests.bpf.l4_rows import CASES, FORWARD, OPEN, PUBLISHED, REPLY, from_client, from_gateway, to_client
from tests.packets import (
    ROUTER_MAC,
    SELF_MAC,
    TC_ACT_OK,
    TC_ACT_REDIRECT,
    TC_ACT_SHOT,
    Case,
    clear,
    damaged,
    flow,
    run,
    run_case,
)
from userspace.node import abi, bpf, datapath
from userspace.node.abi import DropReason, Event, TcpSeen
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf
EVERY = [*CASES, *ROWS]
# A packet that grew or was cut is no longer CHECKSUM_COMPLETE (__skb_grow_rcsum), and the kernel's check does not ask.
RESIZED = {Event.TOA_WRITTEN, Event.ICMP_TOO_BIG, Event.ENCAP}
names = pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
tunnels = pytest.mark.parametrize("case", TUNNEL_ROWS, ids=lambda case: case.name)


def fill_rings(loaded: Datapath) -> None:
    """Slot r of the rings names target r + 1 everywhere; slot 7 is empty."""
    for slot in range(3):
        keys = b"".join(bytes(c_uint32(slot * abi.RING_SIZE + i)) for i in range(abi.RING_SIZE))
        bpf.map_update_batch(loaded.tables["rings"].fd, keys, bytes(c_uint32(slot + 1)) * abi.RING_SIZE, abi.RING_SIZE)


@pytest.fixture(scope="module", autouse=True)
def rings(l4: Datapath, l4_on_xdp: Datapath) -> None:
    fill_rings(l4)
    fill_rings(l4_on_xdp)


@names
def test_packet(l4: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, l4.programs["l4_ingress"], l4.tables, ifindex)


@pytest.mark.parametrize("case", [c for c in EVERY if not RESIZED & set(c.counters)], ids=lambda case: case.name)
def test_packet_from_a_nic_that_sums(l4: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, l4.programs["l4_ingress"], l4.tables, ifindex, bpf.TEST_CHECKSUM_COMPLETE)


@names
def test_packet_on_xdp(l4_on_xdp: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, l4_on_xdp.programs["l4_xdp"], l4_on_xdp.tables, ifindex, is_xdp=True)


def with_macs(case: Case, src: str, dst: str) -> Case:
    return Case(
        case.name, case.packet_in, case.verdict, Ether(src=src, dst=dst) / case.packet_out, case.before, case.counters
    )  # type: ignore[operator]


@tunnels
def test_tunnel_packet(l4: Datapath, ifindex: int, case: Case) -> None:
    """bpf_redirect_neigh() writes the outer MACs later."""
    nobody = "00:00:00:00:00:00"
    run_case(with_macs(case, nobody, nobody), l4.programs["l4_ingress"], l4.tables, ifindex)


@tunnels
def test_tunnel_packet_on_xdp(l4_on_xdp: Datapath, ifindex: int, case: Case) -> None:
    addressed = with_macs(case, SELF_MAC, ROUTER_MAC)
    run_case(addressed, l4_on_xdp.programs["l4_xdp"], l4_on_xdp.tables, ifindex, is_xdp=True)


def test_every_packet_again_after_the_programs_were_swapped(l4: Datapath, ifindex: int, cache: Path) -> None:
    """A build of its own on the same maps, as an upgrade loads it."""
    shutil.rmtree(l4.root / "programs")
    again = datapath.load(l4.root.parent, "l4", SIZES, cache)
    try:
        assert not again.adopted
        for case in EVERY:
            run_case(case, again.programs["l4_ingress"], again.tables, ifindex)
    finally:
        again.close()


@pytest.mark.parametrize("is_xdp", [False, True], ids=["tc", "xdp"])
def test_a_damaged_packet_never_aborts_and_passes_only_unchanged(
    l4: Datapath, l4_on_xdp: Datapath, ifindex: int, is_xdp: bool
) -> None:
    loaded, name = (l4_on_xdp, "l4_xdp") if is_xdp else (l4, "l4_ingress")
    rng = random.Random(7)
    clear(loaded.tables)
    for entry in (*VPC_TOLD, *OPEN6, *UDP_OPEN):
        loaded.tables[entry.table].put(entry.key, entry.value)  # type: ignore[arg-type]
    corpus = [bytes(case.packet_in) for case in EVERY]
    seen = set()
    for _ in range(3000):
        packet = damaged(rng.choice(corpus), rng, least=54)
        ran = run(loaded.programs[name], packet, ifindex, is_xdp=is_xdp)
        seen.add(ran.verdict)
        assert ran.verdict != TC_ACT_OK or ran.packet == packet
    assert seen == {TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT}


def test_the_first_syn_leaves_both_entries_behind(l4: Datapath, ifindex: int) -> None:
    syn = next(case for case in CASES if case.name.startswith("first SYN"))
    run_case(syn, l4.programs["l4_ingress"], l4.tables, ifindex)
    entries = {bytes(k): abi.Session.from_buffer_copy(v) for k, v in l4.tables["sessions"].items()}
    assert set(entries) == {bytes(FORWARD), bytes(REPLY)}
    assert bytes(entries[bytes(FORWARD)].peer) == bytes(REPLY)
    assert bytes(entries[bytes(REPLY)].peer) == bytes(FORWARD)
    forward = entries[bytes(FORWARD)]
    assert (forward.direction, forward.tcp_seen, forward.packets, forward.bytes) == (1, TcpSeen.SYN, 1, 60)
    assert 49152 <= forward.tunnel_sport <= 65535


def test_a_full_table_refuses_new_sessions_and_keeps_old_ones(l4: Datapath, ifindex: int) -> None:
    clear(l4.tables)
    capacity = l4.tables["sessions"].shape.max_entries
    value = bytes(abi.Session(peer=REPLY))
    filler = [(bytes(flow("192.0.2.1", i, "192.0.2.2", 1)), value) for i in range(capacity)]
    l4.tables["sessions"].put_many(filler)
    for entry in PUBLISHED:
        l4.tables[entry.table].put(entry.key, entry.value)  # type: ignore[arg-type]
    before = l4.tables["drops"].totals(len(DropReason))[DropReason.TABLE_FULL]
    assert bpf.test_run(l4.programs["l4_ingress"], bytes(from_client("S"))).verdict == 2
    assert l4.tables["drops"].totals(len(DropReason))[DropReason.TABLE_FULL] == before + 1
    assert {k for k, _ in l4.tables["sessions"].items()} == {k for k, _ in filler}


def test_the_gateways_first_segment_ends_the_option(l4: Datapath, ifindex: int) -> None:
    answer = Case("answer", from_gateway("A"), TC_ACT_REDIRECT, to_client("A"), OPEN, {})
    run_case(answer, l4.programs["l4_ingress"], l4.tables, ifindex)
    forward = abi.Session.from_buffer_copy(l4.tables["sessions"].get(FORWARD) or b"")
    assert forward.tcp_seen & TcpSeen.PEER
