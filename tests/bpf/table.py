"""Every packet row, by the programs that it runs through, and every way in which it is run.

A file of rows becomes part of the test by one line in GROUPS.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bpf import (
    dsr_rows,
    gateway_icmp_rows,
    gateway_rows,
    l4_icmp_rows,
    l4_ipv6_rows,
    l4_rows,
    l4_udp_rows,
    l4_vpc_icmp_rows,
    l4_vpc_rows,
    probe_rows,
    splice_rows,
    vxlan6_rows,
)
from tests.packets import Case
from userspace.node import bpf
from userspace.node.abi import Event


@dataclass(frozen=True)
class Group:
    """Rows of one program: its function on TC and, where there is one, on XDP."""

    role: str
    tc: str
    xdp: str | None
    rows: tuple[Case, ...]


@dataclass(frozen=True)
class Way:
    """hook: as in datapath.programs_of(). swapped: after another build has taken over the maps."""

    name: str
    hook: str = "auto"
    flags: int = 0
    swapped: bool = False

    @property
    def is_xdp(self) -> bool:
        return self.hook == "xdp"


GROUPS = {
    "l4": Group(
        "l4",
        "l4_ingress",
        "l4_xdp",
        (
            *l4_rows.CASES,
            *l4_ipv6_rows.ROWS,
            *l4_udp_rows.ROWS,
            *l4_icmp_rows.ROWS,
            *l4_vpc_rows.ROWS,
            *l4_vpc_icmp_rows.ROWS,
        ),
    ),
    "dsr_l4": Group("l4", "l4_ingress", "l4_xdp", (*dsr_rows.TO_TARGET, *dsr_rows.AT_L4)),
    "dsr_gateway": Group("gateway", "vxlan_ingress", None, tuple(dsr_rows.AT_GATEWAY)),  # XDP: test_dsr.py
    "probe": Group("l4", "probe_egress", None, tuple(probe_rows.OUT)),
    "probe_answer": Group("l4", "l4_ingress", "l4_xdp", tuple(probe_rows.BACK)),
    "dsr_answer": Group("gateway", "dsr_egress", None, tuple(dsr_rows.ANSWERS)),
    "egress": Group(
        "gateway", "vpc_egress", None, (*gateway_rows.EGRESS, *gateway_icmp_rows.EGRESS, *vxlan6_rows.EGRESS)
    ),
    "ingress": Group(
        "gateway",
        "vxlan_ingress",
        "vxlan_xdp",
        (*gateway_rows.INGRESS, *gateway_icmp_rows.INGRESS, *vxlan6_rows.INGRESS),
    ),
    "splice": Group("gateway", "vxlan_ingress", "vxlan_xdp", splice_rows.ROWS),
}
WAYS = (
    Way("tc"),
    Way("nic_that_sums", flags=bpf.TEST_CHECKSUM_COMPLETE),
    Way("xdp", "xdp"),
    Way("tc_swapped", swapped=True),
    Way("nic_that_sums_swapped", flags=bpf.TEST_CHECKSUM_COMPLETE, swapped=True),
    Way("xdp_swapped", "xdp", swapped=True),
)
# A packet that grew or was cut is no longer CHECKSUM_COMPLETE (__skb_grow_rcsum), and the kernel's check does not ask.
RESIZED = {Event.TOA_WRITTEN, Event.ICMP_TOO_BIG, Event.ENCAP, Event.DSR_SENT}


def every() -> Iterator[tuple[Group, Way, Case]]:
    """Yield each row in each way that it can be run."""
    for way in WAYS:
        for group in GROUPS.values():
            if way.is_xdp and group.xdp is None:
                continue
            for row in group.rows:
                if not (way.flags and RESIZED & set(row.counters)):
                    yield group, way, row
