"""DSR beyond its rows: out of the tunnel on XDP, what sessions are left, full tables, the MTU of the way."""

import random
from ctypes import c_uint32
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.bpf import splice_machine, splice_rows
from tests.bpf.conftest import Datapaths
from tests.bpf.dsr_rows import AT_GATEWAY, CLIENT, KNOWN, PUBLISHED, TAKES, TO_TARGET, VIP, client, comes
from tests.bpf.splice_machine import (
    CLIENT6,
    ENDPOINT,
    ENDPOINT6,
    S_ACK,
    S_SEQ,
    SELF,
    SELF6,
    carried,
    from_client,
    to_endpoint,
)
from tests.packets import (
    TC_ACT_OK,
    TC_ACT_REDIRECT,
    TC_ACT_SHOT,
    Case,
    Entry,
    Onward,
    arrives,
    clear,
    damaged,
    flow,
    run,
    run_case,
    tcp,
)
from userspace.node import abi
from userspace.node.abi import Direction, Event, Owned, TcpSeen
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf
into = pytest.mark.parametrize("case", AT_GATEWAY, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def gateway_on_xdp(datapaths: Datapaths) -> Datapath:
    return datapaths("gateway", "xdp", False)


@into
def test_out_of_the_tunnel_on_xdp(gateway_on_xdp: Datapath, ifindex: int, case: Case) -> None:
    """The stack takes it there and then."""
    verdict = TC_ACT_OK if case.verdict == TC_ACT_REDIRECT else case.verdict
    passed = Case(case.name, case.packet_in, verdict, case.packet_out, case.before, case.counters)
    run_case(passed, gateway_on_xdp.programs["vxlan_xdp"], gateway_on_xdp.tables, ifindex, is_xdp=True)


def spliced(v6: bool = False, **fields: object) -> tuple[Entry, ...]:
    """A splice whose client comes by a DSR VIP, which is the address that its rows have."""
    vip = Entry("owned", abi.addr(SELF6 if v6 else SELF), c_uint32(Owned.DSR))
    return (*TAKES[-2:], vip, *carried(v6=v6, **fields))


def of_client(v6: bool) -> tuple[Packet, Packet]:
    """Return a segment of the client's, and what its endpoint gets of it."""
    if not v6:
        return from_client(payload=b"hello")[1], to_endpoint(payload=b"hello")
    sent = tcp(CLIENT6, 50000, SELF6, 80, "PA", seq=1000, ack=5000) / Raw(b"hello")
    return sent, tcp(SELF6, 40000, ENDPOINT6, 8080, "PA", seq=S_SEQ, ack=S_ACK, ttl=63) / Raw(b"hello")


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_on_xdp_a_splice_carries_what_comes_by_the_tunnel(gateway_on_xdp: Datapath, ifindex: int, v6: bool) -> None:
    """There is no second time that it arrives, as on TC."""
    sent, out = of_client(v6)
    case = Case("spliced", comes(sent), TC_ACT_REDIRECT, Onward(out), spliced(v6), {Event.DSR_TAKEN: 1})
    run_case(case, gateway_on_xdp.programs["vxlan_xdp"], gateway_on_xdp.tables, ifindex, is_xdp=True)


ROUTER = "10.9.9.1"  # who says in the rows that something was too long


def within(row: Case) -> Packet:
    return Ether(bytes(row.packet_in)).payload


OF_CLIENTS = [
    row
    for row in splice_rows.ROWS
    if within(row).src in (splice_machine.CLIENT, CLIENT6, ROUTER) and within(row).dst in (SELF, SELF6)
]


@pytest.mark.parametrize("row", OF_CLIENTS, ids=lambda row: row.name)
def test_on_xdp_every_row_of_a_client_of_a_splice_holds_in_the_tunnel(
    gateway_on_xdp: Datapath, ifindex: int, row: Case
) -> None:
    before = (*row.before, *TAKES[-2:], *(Entry("owned", abi.addr(vip), c_uint32(Owned.DSR)) for vip in (SELF, SELF6)))
    packet, counters = comes(within(row)), {**row.counters, Event.DSR_TAKEN: 1}
    case = Case(row.name, packet, row.verdict, row.packet_out, before, counters)
    run_case(case, gateway_on_xdp.programs["vxlan_xdp"], gateway_on_xdp.tables, ifindex, is_xdp=True)


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_on_xdp_a_splice_is_carried_by_a_gateway_that_forwards_for_nobody(
    gateway_on_xdp: Datapath, ifindex: int, v6: bool
) -> None:
    """Ways are asked for from lo: bpf_fib_lookup() refuses to answer for a device that does not forward."""
    ours, far = (SELF6, ENDPOINT6) if v6 else (SELF, ENDPOINT)
    client_end = flow(CLIENT6 if v6 else splice_machine.CLIENT, 50000, ours, 80)
    fields = {"from_": (client_end, flow(far, 8081, ours, 40001))}  # no other row's: ways are remembered
    sent, out = of_client(v6)
    out["TCP"].sport, out["TCP"].dport = 40001, 8081
    case = Case("spliced", arrives(sent), TC_ACT_REDIRECT, Onward(out), spliced(v6, **fields))
    knob = Path(f"/proc/sys/net/ipv{6 if v6 else 4}/conf/u0/forwarding")
    knob.write_text("0")
    try:
        run_case(case, gateway_on_xdp.programs["vxlan_xdp"], gateway_on_xdp.tables, ifindex, is_xdp=True)
    finally:
        knob.write_text("1")


@pytest.mark.parametrize("is_xdp", [False, True], ids=["tc", "xdp"])
def test_a_damaged_tunnel_packet_never_aborts(
    gateway: Datapath, gateway_on_xdp: Datapath, ifindex: int, is_xdp: bool
) -> None:
    loaded, name = (gateway_on_xdp, "vxlan_xdp") if is_xdp else (gateway, "vxlan_ingress")
    rng = random.Random(11)
    clear(loaded.tables)
    for entry in TAKES:
        entry.put(loaded.tables)
    corpus = [bytes(case.packet_in) for case in AT_GATEWAY]
    seen = set()
    for _ in range(2000):
        packet = damaged(rng.choice(corpus), rng, least=34)
        seen.add(run(loaded.programs[name], packet, ifindex, is_xdp=is_xdp).verdict)
    assert TC_ACT_SHOT in seen and seen <= {TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT}


def entries(loaded: Datapath) -> dict[bytes, abi.Session]:
    return {bytes(k): abi.Session.from_buffer_copy(v) for k, v in loaded.tables["sessions"].items()}


def test_a_session_is_one_entry_that_knows_its_target(l4: Datapath, ifindex: int) -> None:
    run_case(TO_TARGET[0], l4.programs["l4_ingress"], l4.tables, ifindex)
    assert list(entries(l4)) == [bytes(flow(CLIENT, 4210, VIP, 80))]
    session = entries(l4)[bytes(flow(CLIENT, 4210, VIP, 80))]
    assert (session.direction, session.target, session.packets, session.bytes) == (Direction.ONLY, 1, 1, 40)
    assert (abi.text(session.peer.saddr), session.peer.sport) == ("10.1.0.11", 80)
    assert session.tcp_seen == TcpSeen.SYN


def test_who_speaks_after_his_syn_has_been_answered(l4: Datapath, ifindex: int) -> None:
    """No answer passes an L4 node: without this, an established session would age as one that opens."""
    opened = next(case for case in TO_TARGET if case.name == "nor does a retransmitted SYN").before
    acked = Case("", arrives(client("A", ack=77)), TC_ACT_REDIRECT, None, opened, {Event.DSR_SENT: 1})
    run_case(acked, l4.programs["l4_ingress"], l4.tables, ifindex)
    (session,) = entries(l4).values()
    assert session.tcp_seen == TcpSeen.SYN | TcpSeen.DATA | TcpSeen.PEER
    assert session.ack == 77


def test_a_segment_without_a_session_leaves_none_behind(l4: Datapath, ifindex: int) -> None:
    """Or any client could fill the table by what is no first packet."""
    case = Case("", arrives(client("A")), TC_ACT_REDIRECT, None, PUBLISHED, {Event.DSR_SENT: 1, Event.RING_ONLY: 1})
    run_case(case, l4.programs["l4_ingress"], l4.tables, ifindex)
    assert entries(l4) == {}


def test_a_full_table_refuses_no_client(l4: Datapath, ifindex: int) -> None:
    clear(l4.tables)
    capacity = l4.tables["sessions"].shape.max_entries
    value = bytes(abi.Session())
    l4.tables["sessions"].put_many((bytes(flow("192.0.2.1", i, "192.0.2.2", 1)), value) for i in range(capacity))
    for entry in PUBLISHED:
        entry.put(l4.tables)
    before = l4.tables["events"].totals(len(Event))
    assert run(l4.programs["l4_ingress"], bytes(arrives(client("S"))), ifindex).verdict == TC_ACT_REDIRECT
    after = l4.tables["events"].totals(len(Event))
    assert {Event(i) for i in range(len(Event)) if after[i] > before[i]} == {Event.DSR_SENT, Event.RING_ONLY}
    clear(l4.tables)


def test_what_routers_say_of_the_tunnel_bounds_what_goes_into_it(l4: Datapath, ifindex: int) -> None:
    clear(l4.tables)
    for entry in KNOWN:
        entry.put(l4.tables)
    ours = bytes(TO_TARGET[2].packet_out)[:48]
    said = arrives(IP(src="10.0.0.1", dst="10.0.0.10") / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(ours))
    assert run(l4.programs["l4_ingress"], bytes(said), ifindex).verdict == TC_ACT_OK
    longest = client("A", b"x" * (1400 - 28 - 40))
    assert len(run(l4.programs["l4_ingress"], bytes(arrives(longest)), ifindex).packet) == 14 + 1400
    refused = run(l4.programs["l4_ingress"], bytes(arrives(client("A", b"x" * (1400 - 28 - 39)))), ifindex)
    assert IP(refused.packet[14:])[ICMP].nexthopmtu == 1372
