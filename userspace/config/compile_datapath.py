"""Snapshot -> DatapathPlan: what the maps of one node should hold. Pure, plain values: userspace/node makes bytes."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from control.model.node import Node
from control.model.vip import Check, Vip, VipTarget
from control.model.vpc import Vpc, VpcEndpoint

PROTOCOLS = {"tcp": 6, "udp": 17}


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """Where a unique IP leads; mtu of the inner packet, bytes."""

    addr: str
    vtep: str
    vni: int
    mac: str
    mtu: int


class TargetPlan(NamedTuple):
    """Where the L4 tier may send a session; vni 0 outside every VPC. vip: in mode "dsr", what its packets are for; the
    address is then where their tunnel ends."""

    address: str
    port: int
    vni: int = 0
    vip: str = ""


class UpShare(NamedTuple):
    """How many of a VIP's targets that may take sessions answer their checks. threshold: percent, of its check."""

    up: int
    of: int
    threshold: int

    @property
    def is_panic(self) -> bool:
        """Whether so few are up that each may as well be tried."""
        return self.up * 100 < self.threshold * self.of


@dataclass(frozen=True, slots=True)
class DatapathPlan:
    """Desired contents of the maps of one node.

    endpoints: by unique IP. hosts: the same by (address in the VPC, VNI), on L4 nodes, with the unique IP. vteps:
    (vtep, vni); vtep None marks the VNI as known. services: weight by target, by (VIP, port, protocol number). down:
    targets whose sessions end. laddrs: in order, sessions are opened from them. dsr: of a gateway, the VIPs that come
    to it in tunnels; tunnellers: the L4 nodes that may send them. checks: of an
    L4 node, how each VIP's targets are checked, by its id, and which. shares: of each VIP that knows panic, by its id.
    """

    endpoints: Mapping[str, EndpointPlan] = field(default_factory=dict)
    hosts: Mapping[tuple[str, int], tuple[str, EndpointPlan]] = field(default_factory=dict)
    vteps: frozenset[tuple[str | None, int]] = frozenset()
    services: Mapping[tuple[str, int, int], Mapping[TargetPlan, int]] = field(default_factory=dict)
    down: frozenset[TargetPlan] = frozenset()
    vips: frozenset[str] = frozenset()
    laddrs: tuple[str, ...] = ()
    toa_trusted: frozenset[str] = frozenset()
    dsr: frozenset[str] = frozenset()
    tunnellers: frozenset[str] = frozenset()
    checks: Mapping[str, tuple[Check, tuple[TargetPlan, ...]]] = field(default_factory=dict)
    shares: Mapping[str, UpShare] = field(default_factory=dict)
    port_min: int = 1024
    port_max: int = 65535


def compile_datapath(
    me: Node,
    nodes: Mapping[str, Node],
    vpcs: Mapping[str, Vpc],
    vips: Mapping[str, Vip],
    failing: Set[TargetPlan] = frozenset(),
) -> DatapathPlan:
    """Return the plan of the node `me`. A VIP's target that is no known gateway, has no address of the VIP's family, or
    is no endpoint of its VPC is left out: its session would go nowhere. So is an endpoint behind a VTEP of IPv6 when
    the node has no such address. failing: targets whose checks fail. One that a VIP in a panic uses is not down, but
    takes sessions of that VIP alone."""
    vpcs = {id: _reached(me, vpc) for id, vpc in vpcs.items()}
    if me.role == "l4":
        return _l4(me, nodes, vpcs, vips, failing)
    dsr = frozenset(vip.address for vip in vips.values() if vip.address and _is_dsr_target(me, vip))
    l4_nodes = [node for node in nodes.values() if node.role == "l4"]
    return DatapathPlan(
        endpoints={e.unique_ip: _endpoint(vpc, e) for vpc in vpcs.values() for e in vpc.endpoints.values()},
        vteps=_vteps((vpc, e) for vpc in vpcs.values() for e in vpc.endpoints.values())
        | {(None, vpc.vni) for vpc in vpcs.values()},
        laddrs=me.laddrs,
        toa_trusted=frozenset(laddr for node in l4_nodes for laddr in node.laddrs),
        dsr=dsr,
        tunnellers=frozenset(node.address for node in l4_nodes) if dsr else frozenset(),
        port_min=me.port_min,
        port_max=me.port_max,
    )


def _is_dsr_target(me: Node, vip: Vip) -> bool:
    return vip.mode == "dsr" and any(me.id == t.node if t.node else me.address == t.address for t in vip.targets)


def _reached(me: Node, vpc: Vpc) -> Vpc:
    if me.address6 or all(":" not in e.vtep for e in vpc.endpoints.values()):
        return vpc
    return replace(vpc, endpoints={ip: e for ip, e in vpc.endpoints.items() if ":" not in e.vtep})


def _l4(
    me: Node,
    nodes: Mapping[str, Node],
    vpcs: Mapping[str, Vpc],
    vips: Mapping[str, Vip],
    failing: Set[TargetPlan],
) -> DatapathPlan:
    services: dict[tuple[str, int, int], dict[TargetPlan, int]] = {}
    ended, unanswering, tried = set[TargetPlan](), set[TargetPlan](), set[TargetPlan]()
    shares: dict[str, UpShare] = {}
    checks: dict[str, tuple[Check, tuple[TargetPlan, ...]]] = {}
    used: list[tuple[Vpc, VpcEndpoint]] = []
    for vip in vips.values():
        targets = services[vip.address, vip.port, PROTOCOLS[vip.protocol]] = {}
        asked: list[TargetPlan] = []
        placed = [(target, place) for target in vip.targets if (place := _place(vip, target, nodes, vpcs)) is not None]
        share = _up_share(vip, placed, failing)
        if share.threshold:
            shares[vip.id] = share
        for target, place in placed:
            is_down = target.state == "down" or (place in failing and not share.is_panic)
            targets[place] = target.weight if target.state == "up" and not is_down else 0
            if target.state == "down":
                ended.add(place)
            elif place in failing:
                (tried if share.is_panic else unanswering).add(place)
            if target.state != "down" and _is_askable(me, place):
                asked.append(place)
            if target.vpc_id:
                used.append((vpcs[target.vpc_id], vpcs[target.vpc_id].endpoints[target.address]))
        if vip.check is not None and asked:
            checks[vip.id] = (vip.check, tuple(asked))
    return DatapathPlan(
        hosts={(e.ip, vpc.vni): (e.unique_ip, _endpoint(vpc, e)) for vpc, e in used},
        vteps=_vteps(iter(used)),
        services=services,
        down=frozenset(ended | unanswering - tried),
        checks=checks,
        shares=shares,
        vips=frozenset(v.address for v in vips.values()),
        laddrs=me.laddrs,
        port_min=me.port_min,
        port_max=me.port_max,
    )


def _up_share(vip: Vip, placed: Sequence[tuple[VipTarget, TargetPlan]], failing: Set[TargetPlan]) -> UpShare:
    """Targets that drain, are down by their state or weigh nothing take no new sessions, panic or not: they count for
    nothing."""
    able = [place for target, place in placed if target.state == "up" and target.weight]
    up = sum(place not in failing for place in able)
    return UpShare(up, len(able), vip.check.panic_threshold if vip.check is not None else 0)


def _is_askable(me: Node, place: TargetPlan) -> bool:
    """Probes need a local address, which a node that serves DSR VIPs alone may lack: its targets are not checked."""
    is_v6 = ":" in (place.vip or place.address)
    return any((":" in laddr) == is_v6 for laddr in me.laddrs)


def _place(vip: Vip, target: VipTarget, nodes: Mapping[str, Node], vpcs: Mapping[str, Vpc]) -> TargetPlan | None:
    vip_of = vip.address if vip.mode == "dsr" else ""
    if target.vpc_id:
        vpc = vpcs.get(target.vpc_id)
        return TargetPlan(target.address, target.port, vpc.vni) if vpc and target.address in vpc.endpoints else None
    if target.address:
        return TargetPlan(target.address, target.port, vip=vip_of)
    node = nodes.get(target.node)
    if node is None or node.role != "gateway":
        return None
    address = node.address6 if ":" in vip.address and not vip_of else node.address
    return TargetPlan(address, target.port, vip=vip_of) if address else None


def _endpoint(vpc: Vpc, endpoint: VpcEndpoint) -> EndpointPlan:
    return EndpointPlan(endpoint.ip, endpoint.vtep, vpc.vni, endpoint.mac, vpc.mtu)


def _vteps(endpoints: Iterator[tuple[Vpc, VpcEndpoint]]) -> frozenset[tuple[str | None, int]]:
    known: set[tuple[str | None, int]] = set()
    for vpc, endpoint in endpoints:
        known |= {(None, vpc.vni), (endpoint.vtep, vpc.vni)}
    return frozenset(known)
