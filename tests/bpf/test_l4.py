"""What an L4 node leaves behind in its maps."""

import pytest

from tests.bpf.l4_rows import CASES, FORWARD, OPEN, PUBLISHED, REPLY, from_client, from_gateway, to_client
from tests.packets import TC_ACT_REDIRECT, Case, clear, flow, run_case
from userspace.node import abi, bpf
from userspace.node.abi import DropReason, TcpSeen
from userspace.node.datapath import Datapath

pytestmark = pytest.mark.bpf


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
        entry.put(l4.tables)
    before = l4.tables["drops"].totals(len(DropReason))[DropReason.TABLE_FULL]
    assert bpf.test_run(l4.programs["l4_ingress"], bytes(from_client("S"))).verdict == 2
    assert l4.tables["drops"].totals(len(DropReason))[DropReason.TABLE_FULL] == before + 1
    assert {k for k, _ in l4.tables["sessions"].items()} == {k for k, _ in filler}


def test_the_gateways_first_segment_ends_the_option(l4: Datapath, ifindex: int) -> None:
    answer = Case("answer", from_gateway("A"), TC_ACT_REDIRECT, to_client("A"), OPEN, {})
    run_case(answer, l4.programs["l4_ingress"], l4.tables, ifindex)
    forward = abi.Session.from_buffer_copy(l4.tables["sessions"].get(FORWARD) or b"")
    assert forward.tcp_seen & TcpSeen.PEER
