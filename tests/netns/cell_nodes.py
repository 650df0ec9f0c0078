"""The nodes of the cells, brought up on their machines as `unilb node` does, by plans instead of a store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from control.model.node import Node
from tests.netns.cell_ends import ECHO, VPC_WEB, WEB
from tests.netns.cells import (
    GATEWAY_LADDR,
    GATEWAY_LADDR6,
    LADDR,
    LADDR6,
    UNIQUE,
    UNIQUE6,
    VIP,
    VIP6,
    VM,
    VM6,
    VM6_MAC,
    VM_MAC,
    VNI,
    VNI6,
    inside,
    v4,
    v6,
)
from userspace.config.compile_datapath import DatapathPlan, EndpointPlan, TargetPlan
from userspace.node import datapath, forwarding
from userspace.node.datapath import Sizes
from userspace.node.forwarding import Forwarding, ForwardingSettings
from userspace.node.machine import cgroup2_mount

SIZES = Sizes(flows=4096, endpoints=64, services=8, targets=8, owned=16, laddrs=8, accounts=16)
NODES = {
    "l4": Node("l4", "l4", "z", v4("l4"), (LADDR, LADDR6), address6=v6("l4")),
    "gateway": Node("gateway", "gateway", "z", v4("gateway"), (GATEWAY_LADDR, GATEWAY_LADDR6), address6=v6("gateway")),
}


@contextmanager
def homes(pins: Path) -> Iterator[Path]:
    """Have a place for the nodes' pins and sockets while the block runs; `pins` is on a bpffs."""
    group = cgroup2_mount() / f"cells-{os.getpid()}"
    group.mkdir()
    patched = pytest.MonkeyPatch()
    patched.setattr(forwarding, "own_cgroup", lambda _: group)
    try:
        yield pins
    finally:
        patched.undo()
        group.rmdir()
        for name in NODES:
            datapath.detach(pins / name)


def bring_up(name: str, hook: str, mtu: int, pins: Path, cache: Path, plan: DatapathPlan | None = None) -> Forwarding:
    """Bring a node up, adopting what it left before. Raises what forwarding.bring_up() raises."""
    node = NODES[name]
    plan = plan or (l4_plan(mtu) if node.role == "l4" else gateway_plan(mtu))
    with pytest.MonkeyPatch.context() as patched, inside(name):
        patched.setattr(forwarding, "ensure_bpffs", lambda: pins / name)
        return forwarding.bring_up(node, plan, ForwardingSettings(hook=hook, sizes=SIZES, cache=cache))


def l4_plan(mtu: int) -> DatapathPlan:
    classic, classic6 = TargetPlan(v4("server"), WEB), TargetPlan(v6("server"), WEB)
    return DatapathPlan(
        hosts={(VM, VNI): (UNIQUE, _endpoint(mtu)), (VM6, VNI6): (UNIQUE6, _endpoint6(mtu))},
        vteps=_vteps(),
        services={
            (VIP, WEB, 6): {classic: 1},
            (VIP6, WEB, 6): {classic6: 1},
            (VIP, ECHO, 17): {TargetPlan(v4("server"), ECHO): 1},
            (VIP, VPC_WEB, 6): {TargetPlan(VM, WEB, VNI): 1},
            (VIP6, VPC_WEB, 6): {TargetPlan(VM6, WEB, VNI6): 1},
        },
        vips=frozenset({VIP, VIP6}),
        laddrs=(LADDR, LADDR6),
    )


def gateway_plan(mtu: int) -> DatapathPlan:
    return DatapathPlan(
        endpoints={UNIQUE: _endpoint(mtu), UNIQUE6: _endpoint6(mtu)},
        vteps=_vteps(),
        laddrs=(GATEWAY_LADDR, GATEWAY_LADDR6),
    )


def _endpoint(mtu: int) -> EndpointPlan:
    return EndpointPlan(VM, v4("host"), VNI, VM_MAC, mtu - 50)


def _endpoint6(mtu: int) -> EndpointPlan:
    return EndpointPlan(VM6, v6("host"), VNI6, VM6_MAC, mtu - 70)


def _vteps() -> frozenset[tuple[str | None, int]]:
    return frozenset({(None, VNI), (v4("host"), VNI), (None, VNI6), (v6("host"), VNI6)})
