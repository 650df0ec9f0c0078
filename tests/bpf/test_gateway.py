"""What a gateway's way into the VPCs leaves behind in its maps, and what packets of one session have in common."""

from ctypes import c_uint32

import pytest

from tests.bpf.gateway_rows import (
    BLUE,
    DECAP,
    FORWARD,
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
from tests.packets import TC_ACT_OK, TC_ACT_REDIRECT, TC_ACT_SHOT, Case, Entry, arrives, run_case, tcp
from userspace.node import abi, bpf
from userspace.node.abi import Direction, Event
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf


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
