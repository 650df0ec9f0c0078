"""The region as frozen objects: what vagrant/topology.yaml says, checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, get_args

import yaml

from userspace.lab.fields import Fields, TopologyError
from userspace.lab.roles import Hook, Role

DEFAULT_PATH = Path(__file__).resolve().parents[2] / "vagrant" / "topology.yaml"

# Interface names hold 15 characters, and machines, segments ("br-" + name) and VMs name interfaces.
MAX_NAME = 12
VXLAN_OVERHEAD = 50  # outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14
UNDERLAY_MTU = 1500


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the region. `addresses` is segment name -> address; only the router has more than one. `hook`: a
    node's, see roles.py."""

    name: str
    role: Role
    addresses: Mapping[str, IPv4Address]
    zone: str = ""
    laddrs: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
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
    def segment(self) -> str:
        """The segment of `address`."""
        return next(iter(self.addresses))

    @property
    def inner_mac(self) -> str:
        """What VMs see as the MAC of this gateway or L4 node: 02:75 and the four bytes of its underlay address."""
        return mac(b"\x02\x75" + self.address.packed)


@dataclass(frozen=True, slots=True)
class Vpc:
    name: str
    vni: int
    cidr: IPv4Network
    mtu: int  # inner


@dataclass(frozen=True, slots=True)
class Vm:
    name: str
    vpc: str
    host: str
    address: IPv4Address

    @property
    def mac(self) -> str:
        """02:00 and the four bytes of the address: two tenants' VMs of one address share their MAC too."""
        return mac(b"\x02\x00" + self.address.packed)


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
    """The whole region. Mappings keep the order of the file; `eips` is EIP -> VIP name; `text` is the file itself."""

    segments: Mapping[str, IPv4Network]
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
        laddrs=tuple(f.addresses("laddrs")),
        prefixes=tuple(f.networks("prefixes")),
        memory=f.integer("memory", 128, 1 << 20, 512),
        hook=f.choice("hook", get_args(Hook), "auto"),
    )
    f.done()
    return machine


def _vpc(f: Fields) -> Vpc:
    vpc = Vpc(
        f.name,
        f.integer("vni", 1, (1 << 24) - 1),
        f.network("cidr"),
        f.integer("mtu", 576, UNDERLAY_MTU - VXLAN_OVERHEAD),
    )
    f.done()
    return vpc


def _vm(f: Fields) -> Vm:
    vm = Vm(f.name, f.text("vpc"), f.text("host"), f.address("address"))
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
    owners: dict[IPv4Address, str] = {}
    for m in t.machines.values():
        where = f"machines.{m.name}"
        wanted = len(t.segments) if m.role == "router" else 1
        if len(m.addresses) != wanted:
            raise TopologyError(f"{where}.addresses", f"a {m.role} has {wanted}, found {len(m.addresses)}")
        for segment, address in m.addresses.items():
            field = f"{where}.addresses.{segment}"
            if segment not in t.segments:
                raise TopologyError(field, "no such segment")
            if address not in t.segments[segment]:
                raise TopologyError(field, f"{address} is not inside {t.segments[segment]}")
            if address in owners:
                raise TopologyError(field, f"{address} already belongs to {owners[address]}")
            owners[address] = m.name
        if m.role in ("gateway", "l4") and not (m.zone and m.laddrs and m.prefixes):
            raise TopologyError(where, f"a {m.role} needs zone, laddrs and prefixes")
        if m.hook != "auto" and m.role not in ("gateway", "l4"):
            raise TopologyError(f"{where}.hook", f"a {m.role} runs no node")
        for laddr in m.laddrs:
            if not any(laddr in prefix for prefix in m.prefixes):
                raise TopologyError(f"{where}.laddrs", f"{laddr} is in none of its prefixes")


def _check_vpcs(t: Topology) -> None:
    vnis: dict[int, str] = {}
    for vpc in t.vpcs.values():
        if vpc.vni in vnis:
            raise TopologyError(f"vpcs.{vpc.name}.vni", f"{vpc.vni} already belongs to {vnis[vpc.vni]}")
        vnis[vpc.vni] = vpc.name
    taken: dict[tuple[str, IPv4Address], str] = {}
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
        if other := taken.get((vm.vpc, vm.address)):
            raise TopologyError(f"{where}.address", f"{vm.address} already belongs to {other} in VPC {vm.vpc}")
        taken[vm.vpc, vm.address] = vm.name


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
