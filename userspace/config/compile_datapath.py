"""Snapshot -> DatapathPlan: what the maps of one node should hold. Pure, plain values: userspace/node makes bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from control.model.node import Node
from control.model.vip import Vip
from control.model.vpc import Vpc

TCP = 6


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """Where a unique IP leads; mtu of the inner packet, bytes."""

    addr: str
    vtep: str
    vni: int
    mac: str
    mtu: int


@dataclass(frozen=True, slots=True)
class DatapathPlan:
    """Desired contents of the maps of one node.

    endpoints: by unique IP. vteps: (vtep, vni); vtep None marks the VNI as known. services: weight by target
    "address:port", by (VIP, port, protocol number). laddrs: in order, sessions are opened from them.
    """

    endpoints: Mapping[str, EndpointPlan] = field(default_factory=dict)
    vteps: frozenset[tuple[str | None, int]] = frozenset()
    services: Mapping[tuple[str, int, int], Mapping[tuple[str, int], int]] = field(default_factory=dict)
    vips: frozenset[str] = frozenset()
    laddrs: tuple[str, ...] = ()
    toa_trusted: frozenset[str] = frozenset()
    port_min: int = 1024
    port_max: int = 65535


def compile_datapath(
    me: Node, nodes: Mapping[str, Node], vpcs: Mapping[str, Vpc], vips: Mapping[str, Vip]
) -> DatapathPlan:
    """Return the plan of the node `me`. A VIP's target that is no known gateway is left out: its session would go
    nowhere."""
    if me.role == "l4":
        return DatapathPlan(
            services={(v.address, v.port, TCP): _targets(v, nodes) for v in vips.values()},
            vips=frozenset(v.address for v in vips.values()),
            laddrs=me.laddrs,
            port_min=me.port_min,
            port_max=me.port_max,
        )
    return DatapathPlan(
        endpoints=_endpoints(vpcs),
        vteps=_vteps(vpcs),
        laddrs=me.laddrs,
        toa_trusted=frozenset(laddr for node in nodes.values() if node.role == "l4" for laddr in node.laddrs),
        port_min=me.port_min,
        port_max=me.port_max,
    )


def _targets(vip: Vip, nodes: Mapping[str, Node]) -> dict[tuple[str, int], int]:
    gateways = {t: nodes[t.node] for t in vip.targets if t.node in nodes and nodes[t.node].role == "gateway"}
    return {(node.address, target.port): target.weight for target, node in gateways.items()}


def _endpoints(vpcs: Mapping[str, Vpc]) -> dict[str, EndpointPlan]:
    return {
        endpoint.unique_ip: EndpointPlan(endpoint.ip, endpoint.vtep, vpc.vni, endpoint.mac, vpc.mtu)
        for vpc in vpcs.values()
        for endpoint in vpc.endpoints.values()
    }


def _vteps(vpcs: Mapping[str, Vpc]) -> frozenset[tuple[str | None, int]]:
    known: set[tuple[str | None, int]] = {(None, vpc.vni) for vpc in vpcs.values()}
    return frozenset(known | {(e.vtep, vpc.vni) for vpc in vpcs.values() for e in vpc.endpoints.values()})
