"""A gateway's way into the VPCs and back: every row on TC, with a NIC that sums, on XDP, and again after a swap."""

import random
import shutil
from ctypes import c_uint32
from pathlib import Path

import pytest

from tests.bpf.conftest import SIZES
from tests.bpf.gateway_more_rows import MORE_EGRESS, MORE_INGRESS
from tests.bpf.gateway_rows import (
    DECAP,
    EGRESS,
    FORWARD,
    INGRESS,
    MACHINE,
    OPEN,
    REPLY,
    SYN_OPTIONS,
    UNIQUE,
    VPC,
    VTEP,
    WORKER,
    from_vm,
    from_worker,
    tunnel,
)
from tests.packets import (
    TC_ACT_OK,
    TC_ACT_REDIRECT,
    TC_ACT_SHOT,
    Case,
    Entry,
    arrives,
    clear,
    damaged,
    run,
    run_case,
    tcp,
)
from userspace.node import abi, bpf, datapath
from userspace.node.abi import Direction, Event
from userspace.node.datapath import Datapath

BLUE = 10010
pytestmark = pytest.mark.bpf
OUT, BACK = [*EGRESS, *MORE_EGRESS], [*INGRESS, *MORE_INGRESS]
RESIZED = {Event.ENCAP, Event.ICMP_TOO_BIG}
back = pytest.mark.parametrize("case", BACK, ids=lambda case: case.name)


@pytest.mark.parametrize("case", OUT, ids=lambda case: case.name)
def test_egress(gateway: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, gateway.programs["vpc_egress"], gateway.tables, ifindex)


@pytest.mark.parametrize("case", [c for c in OUT if not RESIZED & set(c.counters)], ids=lambda case: case.name)
def test_egress_from_a_nic_that_sums(gateway: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, gateway.programs["vpc_egress"], gateway.tables, ifindex, bpf.TEST_CHECKSUM_COMPLETE)


@pytest.mark.parametrize("flags", [0, bpf.TEST_CHECKSUM_COMPLETE], ids=["plain", "csum_complete"])
@back
def test_ingress(gateway: Datapath, ifindex: int, case: Case, flags: int) -> None:
    run_case(case, gateway.programs["vxlan_ingress"], gateway.tables, ifindex, flags)


@back
def test_ingress_on_xdp(gateway_on_xdp: Datapath, ifindex: int, case: Case) -> None:
    run_case(case, gateway_on_xdp.programs["vxlan_xdp"], gateway_on_xdp.tables, ifindex, is_xdp=True)


def test_every_packet_again_after_the_programs_were_swapped(gateway: Datapath, ifindex: int, cache: Path) -> None:
    """A build of its own on the same maps, as an upgrade loads it."""
    shutil.rmtree(gateway.root / "programs")
    again = datapath.load(gateway.root.parent, "gateway", SIZES, cache)
    try:
        assert not again.adopted
        for case in OUT:
            run_case(case, again.programs["vpc_egress"], again.tables, ifindex)
        for case in BACK:
            run_case(case, again.programs["vxlan_ingress"], again.tables, ifindex)
    finally:
        again.close()


@pytest.mark.parametrize("is_xdp", [False, True], ids=["tc", "xdp"])
def test_a_damaged_packet_never_aborts_and_passes_only_unchanged(
    gateway: Datapath, gateway_on_xdp: Datapath, ifindex: int, is_xdp: bool
) -> None:
    loaded, name = (gateway_on_xdp, "vxlan_xdp") if is_xdp else (gateway, "vxlan_ingress")
    rng = random.Random(5)
    clear(loaded.tables)
    for entry in OPEN:
        loaded.tables[entry.table].put(entry.key, entry.value)  # type: ignore[arg-type]
    corpus = [bytes(case.packet_in) for case in BACK]
    seen = set()
    for _ in range(3000):
        packet = damaged(rng.choice(corpus), rng, least=34)
        ran = run(loaded.programs[name], packet, ifindex, is_xdp=is_xdp)
        seen.add(ran.verdict)
        assert ran.verdict != TC_ACT_OK or ran.packet == packet
    assert seen == {TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT}


def test_a_syn_opens_a_session_in_the_endpoints_vni(gateway: Datapath, ifindex: int) -> None:
    case = Case("", from_worker("S"), TC_ACT_REDIRECT, None, VPC, {Event.SESSION_NEW: 1, Event.ENCAP: 1})
    run_case(case, gateway.programs["vpc_egress"], gateway.tables, ifindex)
    entries = {k: abi.Session.from_buffer_copy(v) for k, v in gateway.tables["sessions"].items()}
    assert set(entries) == {bytes(FORWARD), bytes(REPLY)}
    assert bytes(entries[bytes(FORWARD)].peer) == bytes(REPLY)
    assert entries[bytes(REPLY)].direction == Direction.REPLY


def test_a_syn_keeps_one_source_port_in_the_dynamic_range(gateway: Datapath, ifindex: int) -> None:
    case = Case(
        "", from_worker("S", options=SYN_OPTIONS), TC_ACT_REDIRECT, None, VPC, {Event.SESSION_NEW: 1, Event.ENCAP: 1}
    )
    run_case(case, gateway.programs["vpc_egress"], gateway.tables, ifindex)
    again = [bpf.test_run(gateway.programs["vpc_egress"], bytes(from_worker(flags))) for flags in ("S", "A", "PA")]
    ports = {int.from_bytes(ran.packet[34:36], "big") for ran in again}
    assert len(ports) == 1 and min(ports) >= 49152
    assert {ran.verdict for ran in again} == {TC_ACT_REDIRECT}


def test_source_ports_spread_over_sessions(gateway: Datapath, ifindex: int) -> None:
    """RFC 7348 wants entropy per flow: 200 flows, nearly 200 ports."""
    wide = abi.Machine.from_buffer_copy(bytes(MACHINE))
    wide.port_min, wide.port_max = 1024, 65535
    opening = Case(
        "",
        from_worker("S"),
        TC_ACT_REDIRECT,
        None,
        (*VPC, Entry("machine", c_uint32(0), wide)),
        {Event.SESSION_NEW: 1, Event.ENCAP: 1},
    )
    run_case(opening, gateway.programs["vpc_egress"], gateway.tables, ifindex)
    ports = set()
    for sport in range(10000, 10200):
        ran = bpf.test_run(gateway.programs["vpc_egress"], bytes(arrives(tcp(WORKER, sport, UNIQUE, 80))))
        assert ran.verdict == TC_ACT_REDIRECT
        ports.add(int.from_bytes(ran.packet[34:36], "big"))
    assert len(ports) > 190


def test_allowed_vteps_are_counted(gateway: Datapath, ifindex: int) -> None:
    packet = tunnel(from_vm("A"))
    case = Case("", packet, TC_ACT_REDIRECT, None, OPEN, DECAP)
    run_case(case, gateway.programs["vxlan_ingress"], gateway.tables, ifindex)
    raw = gateway.tables["vteps"].get(abi.VtepKey(vtep=abi.addr(VTEP), vni=BLUE))
    traffic = abi.Traffic.from_buffer_copy(raw or b"")
    assert (traffic.packets, traffic.bytes) == (1, len(packet) - 14)


@pytest.mark.parametrize("length", range(34, 104))
def test_a_packet_cut_anywhere_is_dropped_or_passed_whole(gateway: Datapath, ifindex: int, length: int) -> None:
    whole = bytes(tunnel(from_vm("A")))
    ran = bpf.test_run(gateway.programs["vxlan_ingress"], whole[:length])
    assert ran.verdict == TC_ACT_SHOT or (ran.verdict == TC_ACT_OK and ran.packet == whole[:length])
