"""The region as frozen objects: what vagrant/topology.yaml says, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from userspace.lab.fields import Address, Fields, Network, TopologyError
from userspace.lab.roles import Hook, Role

DEFAULT_PATH = Path(__file__).resolve().parents[2] / "vagrant" / "topology.yaml"

# Interface names hold 15 characters, and machines, segments ("br-" + name) and VMs name interfaces.
MAX_NAME = 12
Underlay = Literal["ipv4", "ipv6"]
VXLAN_OVERHEAD: Mapping[Underlay, int] = {
    "ipv4": 50,
    "ipv6": 70,
}  # outer IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14
UNDERLAY_MTU = 1500
LEAST_MTU6 = 1280  # RFC 8200 section 5


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the region. `addresses` is segment name -> address; only the router has more than one. `addresses6`:
    likewise of IPv6, none or those of some segments. `hook`: a node's, see roles.py."""

    name: str
    role: Role
    addresses: Mapping[str, IPv4Address]
    zone: str = ""
    addresses6: Mapping[str, IPv6Address] = field(default_factory=dict)
    laddrs: tuple[Address, ...] = ()
    prefixes: tuple[Network, ...] = ()
    memory: int = 512  # MiB
    hook: Hook = "auto"

    @property
    def on_xdp(self) -> bool:
        return self.hook.startswith("xdp")

    @property
    def address(self) -> IPv4Address:
        """The machine's only, or first, address."""
        return next(iter(self.addresses.values()))

    @property
    def address6(self) -> IPv6Address | None:
        """The machine's only, or first, address of IPv6, if it has any."""
        return next(iter(self.addresses6.values()), None)

    @property
    def segment(self) -> str:
        """The segment of `address`."""
        return next(iter(self.addresses))

    @property
    def inner_mac(self) -> str:
        """What VMs see as the MAC of this gateway or L4 node: 02:75 and the four bytes of its underlay address."""
        return mac(b"\x02\x75" + self.address.packed)


@dataclass(frozen=True, slots=True)
class Vpc:
    """mtu: inner. underlay: what its hosts' VTEPs speak."""

    name: str
    vni: int
    cidr: Network
    mtu: int
    underlay: Underlay = "ipv4"

    def vtep(self, machine: Machine) -> Address | None:
        """Return the machine's address that this VPC's packets come from and go to; None when it has none."""
        return machine.address if self.underlay == "ipv4" else machine.address6


@dataclass(frozen=True, slots=True)
class Vm:
    name: str
    vpc: str
    host: str
    address: Address

    @property
    def mac(self) -> str:
        """02:00 and the last four bytes of the address: two tenants' VMs of one address share their MAC too."""
        return mac(b"\x02\x00" + self.address.packed[-4:])

    def at(self, port: int) -> str:
        """Return what an upstream's nodes name a port of this VM by."""
        return f"[{self.address}]:{port}" if self.address.version == 6 else f"{self.address}:{port}"


@dataclass(frozen=True, slots=True)
class Vip:
    name: str
    address: IPv4Address
    port: int
    protocol: str
    target_port: int
    targets: tuple[str, ...]  # names of gateways


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole region. Mappings keep the order of the file; `segments6`: of those segments that have IPv6; `eips` is
    EIP -> VIP name; `text` is the file itself."""

    segments: Mapping[str, IPv4Network]
    segments6: Mapping[str, IPv6Network]
    machines: Mapping[str, Machine]
    vpcs: Mapping[str, Vpc]
    vms: Mapping[str, Vm]
    vips: Mapping[str, Vip]
    eips: Mapping[IPv4Address, str]
    text: str = field(default="", compare=False, repr=False)

    def of_role(self, *roles: Role) -> tuple[Machine, ...]:
        return tuple(m for m in self.machines.values() if m.role in roles)

    def vms_on(self, host: str) -> tuple[Vm, ...]:
        return tuple(vm for vm in self.vms.values() if vm.host == host)

    @property
    def router(self) -> Machine:
        return self.of_role("router")[0]

    @property
    def control(self) -> Machine:
        """Where the store and the Admin API are."""
        return self.of_role("control")[0]


def mac(octets: bytes) -> str:
    return octets.hex(":")


def load(path: Path = DEFAULT_PATH) -> Topology:
    """Read and check a topology file. Raises TopologyError naming the file or the field."""
    try:
        text = path.read_text()
    except OSError as error:
        raise TopologyError(str(path), error.strerror or "cannot be read") from error
    return parse(text)


def parse(text: str) -> Topology:
    """The topology that a YAML text describes. Raises TopologyError naming the field."""
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TopologyError("topology", f"is not YAML: {error}") from error
    top = Fields("", root)
    topology = Topology(
        segments={name: top.section("segments").network(name) for name in top.section("segments").names(MAX_NAME)},
        segments6={name: top.section("segments6").network6(name) for name in top.section("segments6").names(MAX_NAME)},
        machines={f.name: _machine(f) for f in top.section("machines").children(MAX_NAME)},
        vpcs={f.name: _vpc(f) for f in top.section("vpcs").children(MAX_NAME)},
        vms={f.name: _vm(f) for f in top.section("vms").children(MAX_NAME)},
        vips={f.name: _vip(f) for f in top.section("vips").children()},
        eips=top.section("eips").by_address(),
        text=text,
    )
    top.done()
    _check_machines(topology)
    _check_vpcs(topology)
    _check_vips(topology)
    return topology


def _machine(f: Fields) -> Machine:
    machine = Machine(
        name=f.name,
        role=f.choice("role", get_args(Role)),
        addresses={name: f.section("addresses").address(name) for name in f.section("addresses").names()},
        zone=f.text("zone", ""),
        addresses6={name: f.section("addresses6").address6(name) for name in f.section("addresses6").names()},
        laddrs=tuple(f.any_addresses("laddrs")),
        prefixes=tuple(f.any_networks("prefixes")),
        memory=f.integer("memory", 128, 1 << 20, 512),
        hook=f.choice("hook", get_args(Hook), "auto"),
    )
    f.done()
    return machine


def _vpc(f: Fields) -> Vpc:
    cidr = f.any_network("cidr")
    underlay = f.choice("underlay", get_args(Underlay), "ipv4")
    least, most = (LEAST_MTU6 if cidr.version == 6 else 576), UNDERLAY_MTU - VXLAN_OVERHEAD[underlay]
    vpc = Vpc(f.name, f.integer("vni", 1, (1 << 24) - 1), cidr, f.integer("mtu", least, most), underlay)
    f.done()
    return vpc


def _vm(f: Fields) -> Vm:
    vm = Vm(f.name, f.text("vpc"), f.text("host"), f.any_address("address"))
    f.done()
    return vm


def _vip(f: Fields) -> Vip:
    vip = Vip(
        name=f.name,
        address=f.address("address"),
        port=f.integer("port", 1, 65535),
        protocol=f.choice("protocol", ("tcp",)),
        target_port=f.integer("target_port", 1, 65535),
        targets=tuple(f.texts("targets")),
    )
    f.done()
    return vip


def _check_machines(t: Topology) -> None:
    for role in ("router", "control"):
        if len(t.of_role(role)) != 1:
            raise TopologyError("machines", f"need exactly one machine with role {role}, found {len(t.of_role(role))}")
    owners: dict[Address, str] = {}
    for m in t.machines.values():
        where = f"machines.{m.name}"
        wanted = len(t.segments) if m.role == "router" else 1
        if len(m.addresses) != wanted:
            raise TopologyError(f"{where}.addresses", f"a {m.role} has {wanted}, found {len(m.addresses)}")
        _check_addresses(f"{where}.addresses", m, m.addresses, t.segments, owners)
        _check_addresses(f"{where}.addresses6", m, m.addresses6, t.segments6, owners)
        if missing := m.addresses6.keys() - m.addresses.keys():
            raise TopologyError(f"{where}.addresses6", f"not in {', '.join(sorted(missing))}")
        if m.role == "router" and (missing := t.segments6.keys() - m.addresses6.keys()):
            raise TopologyError(f"{where}.addresses6", f"a router needs one in {', '.join(sorted(missing))}")
        if m.role == "l4" and m.address6 is None and any(prefix.version == 6 for prefix in m.prefixes):
            raise TopologyError(f"{where}.prefixes", "of IPv6, which are routed to an address6 that it lacks")
        if m.role in ("gateway", "l4") and not (m.zone and m.laddrs and m.prefixes):
            raise TopologyError(where, f"a {m.role} needs zone, laddrs and prefixes")
        if m.hook != "auto" and m.role not in ("gateway", "l4"):
            raise TopologyError(f"{where}.hook", f"a {m.role} runs no node")
        for laddr in m.laddrs:
            if not any(laddr in prefix for prefix in m.prefixes):
                raise TopologyError(f"{where}.laddrs", f"{laddr} is in none of its prefixes")


def _check_addresses(
    where: str, m: Machine, addresses: Mapping[str, Any], segments: Mapping[str, Any], owners: dict[Address, str]
) -> None:
    for segment, address in addresses.items():
        field = f"{where}.{segment}"
        if segment not in segments:
            raise TopologyError(field, "no such segment")
        if address not in segments[segment]:
            raise TopologyError(field, f"{address} is not inside {segments[segment]}")
        if address in owners:
            raise TopologyError(field, f"{address} already belongs to {owners[address]}")
        owners[address] = m.name


def _check_vpcs(t: Topology) -> None:
    vnis: dict[int, str] = {}
    for vpc in t.vpcs.values():
        if vpc.vni in vnis:
            raise TopologyError(f"vpcs.{vpc.name}.vni", f"{vpc.vni} already belongs to {vnis[vpc.vni]}")
        vnis[vpc.vni] = vpc.name
        if not any(laddr.version == vpc.cidr.version for m in t.of_role("gateway") for laddr in m.laddrs):
            raise TopologyError(f"vpcs.{vpc.name}.cidr", f"no gateway has a local address of IPv{vpc.cidr.version}")
    taken: dict[tuple[str, str], str] = {}
    for vm in t.vms.values():
        where = f"vms.{vm.name}"
        if vm.name in t.machines:
            raise TopologyError(where, "a machine has this name")
        if vm.vpc not in t.vpcs:
            raise TopologyError(f"{where}.vpc", f"no such VPC: {vm.vpc}")
        if vm.host not in t.machines or t.machines[vm.host].role != "vpc-host":
            raise TopologyError(f"{where}.host", f"no such vpc-host: {vm.host}")
        if vm.address not in t.vpcs[vm.vpc].cidr:
            raise TopologyError(f"{where}.address", f"{vm.address} is not inside {t.vpcs[vm.vpc].cidr}")
        if t.vpcs[vm.vpc].vtep(t.machines[vm.host]) is None:
            raise TopologyError(f"{where}.host", f"{vm.host} has none of addresses6, which VPC {vm.vpc} runs over")
        for what in (str(vm.address), vm.mac):
            if other := taken.get((vm.vpc, what)):
                raise TopologyError(f"{where}.address", f"{what} already belongs to {other} in VPC {vm.vpc}")
            taken[vm.vpc, what] = vm.name


def _check_vips(t: Topology) -> None:
    l4_prefixes: list[Any] = [prefix for m in t.of_role("l4") for prefix in m.prefixes]
    for vip in t.vips.values():
        if not any(vip.address in prefix for prefix in l4_prefixes):
            raise TopologyError(f"vips.{vip.name}.address", f"{vip.address} is in no prefix of an l4 machine")
        for target in vip.targets:
            if target not in t.machines or t.machines[target].role != "gateway":
                raise TopologyError(f"vips.{vip.name}.targets", f"no such gateway: {target}")
    for eip, name in t.eips.items():
        if name not in t.vips:
            raise TopologyError(f"eips.{eip}", f"no such VIP: {name}")
