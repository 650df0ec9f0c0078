"""Every packet row: on TC, on TC with a NIC that sums, on XDP, and again after the programs were swapped."""

import random

import pytest

from tests.bpf import gateway_rows, vxlan6_rows
from tests.bpf.conftest import Datapaths
from tests.bpf.l4_machine import OPEN6, UDP_OPEN, VPC_TOLD
from tests.bpf.table import GROUPS, Group, Way, every
from tests.packets import TC_ACT_OK, TC_ACT_REDIRECT, TC_ACT_SHOT, Case, clear, damaged, run, run_case

pytestmark = pytest.mark.bpf
ROWS = list(every())


@pytest.mark.parametrize(("group", "way", "row"), ROWS, ids=[f"{way.name}-{row.name}" for _, way, row in ROWS])
def test_row(datapaths: Datapaths, ifindex: int, group: Group, way: Way, row: Case) -> None:
    loaded = datapaths(group.role, way.hook, way.swapped)
    program = group.xdp if way.is_xdp else group.tc
    run_case(row, loaded.programs[str(program)], loaded.tables, ifindex, way.flags, way.is_xdp)


def test_there_are_as_many_rows_as_were_promised() -> None:
    assert sum(len(group.rows) for group in GROUPS.values()) >= 250


# Sessions that damaged packets may still belong to: of both families, and over both.
STANDING = {
    "l4": (*VPC_TOLD, *OPEN6, *UDP_OPEN),
    "ingress": (*gateway_rows.OPEN, *vxlan6_rows.open_tcp(vxlan6_rows.V6), *vxlan6_rows.open_udp(vxlan6_rows.WAYS[0])),
    "egress": (*gateway_rows.OPEN, *(entry for way in vxlan6_rows.WAYS for entry in vxlan6_rows.open_tcp(way))),
}


@pytest.mark.parametrize(
    ("name", "hook"), [("l4", "auto"), ("l4", "xdp"), ("ingress", "auto"), ("ingress", "xdp"), ("egress", "auto")]
)
def test_a_damaged_packet_never_aborts_and_passes_only_unchanged(
    datapaths: Datapaths, ifindex: int, name: str, hook: str
) -> None:
    group, is_xdp = GROUPS[name], hook == "xdp"
    loaded = datapaths(group.role, hook, False)
    program = loaded.programs[str(group.xdp if is_xdp else group.tc)]
    rng = random.Random(7)
    clear(loaded.tables)
    for entry in STANDING[name]:
        entry.put(loaded.tables)
    corpus = [bytes(row.packet_in) for row in group.rows]
    seen = set()
    for _ in range(3000):
        packet = damaged(rng.choice(corpus), rng, least=54)
        ran = run(program, packet, ifindex, is_xdp=is_xdp)
        seen.add(ran.verdict)
        assert ran.verdict != TC_ACT_OK or ran.packet == packet
    assert seen == {TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT}
