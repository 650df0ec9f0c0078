"""The region as an ordered list of steps: the same for network namespaces and for virtual machines.

`fabric` builds what a data centre has before anybody configures it (machines, switches, cables) and is for the
namespaces lab only. `configure` is everything inside one machine; the virtual machines run it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from userspace.lab.roles import SYSCTLS, VM_SYSCTLS
from userspace.lab.topology import UNDERLAY_MTU, Machine, Topology, Vm, Vpc

VXLAN_PORT = 4789
NIC = "eth0"

# "netns" lines are ip(8) lines too, but run outside every namespace: a mount made inside one would stay in there.
Tool = Literal["netns", "ip", "bridge", "sysctl", "nft", "ethtool"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line for one tool, on `machine` or, when `vm` is set, inside that VM of it.

    `creates` names the device (for tool "netns": the namespace) that is there afterwards; when it is there before,
    the step is left out. Steps without it can be repeated as they are.
    """

    machine: str
    tool: Tool
    line: str
    vm: str | None = None
    creates: str | None = None


def namespace(lab: str, name: str) -> str:
    """The network namespace of a machine or VM."""
    return f"{lab}-{name}"


def bridge_of(segment: str) -> str:
    """The router's bridge for a segment of the namespaces lab."""
    return f"br-{segment}"


def lab_nics(machine: Machine) -> dict[str, str]:
    """Segment -> device that holds the machine's address there, in the namespaces lab."""
    if machine.role == "router":
        return {segment: bridge_of(segment) for segment in machine.addresses}
    return {machine.segment: NIC}


def fabric(topology: Topology, lab: str) -> list[Step]:
    """Namespaces, one bridge per segment inside the router, one veth per machine."""
    router = topology.router.name
    others = [m for m in topology.machines.values() if m.name != router]
    steps = [
        Step(name, "netns", f"netns add {namespace(lab, name)}", creates=namespace(lab, name))
        for name in (router, *(m.name for m in others))
    ]
    for segment in topology.segments:
        bridge = bridge_of(segment)
        steps += [
            Step(router, "ip", f"link add {bridge} mtu {UNDERLAY_MTU} type bridge mcast_snooping 0", creates=bridge),
            Step(router, "ip", f"link set {bridge} up"),
        ]
    for m in others:
        peer = f"peer name {NIC} mtu {UNDERLAY_MTU} netns {namespace(lab, m.name)}"
        steps += [
            Step(router, "ip", f"link add {m.name} mtu {UNDERLAY_MTU} type veth {peer}", creates=m.name),
            Step(router, "ip", f"link set {m.name} master {bridge_of(m.segment)} addrgenmode none up"),
        ]
        if m.on_xdp:  # what is sent to XDP must be complete, and what XDP sends must be taken
            steps.append(Step(router, "ethtool", f"-K {m.name} tx off gro on"))
    return steps


def configure(topology: Topology, machine: Machine, nics: Mapping[str, str], lab: str) -> list[Step]:
    """Everything inside one machine. `nics`: segment -> device (see `lab_nics`)."""
    name = machine.name
    steps = [Step(name, "sysctl", f"{key} = {value}") for key, value in SYSCTLS[machine.role].items()]
    steps.append(Step(name, "ip", "link set lo up"))
    for segment, address in machine.addresses.items():
        prefix = topology.segments[segment].prefixlen
        steps += [
            Step(name, "ip", f"link set {nics[segment]} mtu {UNDERLAY_MTU} up"),
            Step(name, "ip", f"address replace {address}/{prefix} dev {nics[segment]}"),
        ]
    for segment, address6 in machine.addresses6.items():
        prefix = topology.segments6[segment].prefixlen
        steps.append(Step(name, "ip", f"address replace {address6}/{prefix} dev {nics[segment]} nodad"))
    if machine.role == "router":
        return steps + _router(topology)
    steps.append(Step(name, "ip", f"route replace default via {topology.router.addresses[machine.segment]}"))
    if machine.address6:
        steps.append(Step(name, "ip", f"route replace default via {topology.router.addresses6[machine.segment]}"))
    if machine.role == "l4":
        # What the datapath does not take must die here: forwarded, it would come straight back from the router.
        steps += [Step(name, "ip", f"route replace blackhole {prefix}") for prefix in machine.prefixes]
    if machine.role == "vpc-host":
        vms = topology.vms_on(name)
        for vpc in dict.fromkeys(vm.vpc for vm in vms):
            steps += _vxlan(topology, machine, topology.vpcs[vpc])
        for vm in vms:
            steps += _vm(topology, vm, lab)
    return steps


def build(topology: Topology, lab: str) -> list[Step]:
    """The whole namespaces lab, in order."""
    steps = fabric(topology, lab)
    for machine in topology.machines.values():
        steps += configure(topology, machine, lab_nics(machine), lab)
    return steps


def _router(t: Topology) -> list[Step]:
    name = t.router.name
    steps = [Step(name, "sysctl", "net/ipv6/conf/all/forwarding = 1")] if t.segments6 else []
    steps += [
        Step(name, "ip", f"route replace {prefix} via {m.address if prefix.version == 4 else m.address6}")
        for m in t.of_role("l4")
        for prefix in m.prefixes
    ]
    steps += [Step(name, "ip", f"address replace {eip}/32 dev lo") for eip in t.eips]
    pairs = ", ".join(f"{eip} : {t.vips[vip].address}" for eip, vip in t.eips.items())
    # "add, delete, add" replaces the table whether or not it was there; the answer's way back is conntrack's.
    table = ["add table ip unilb_eip", "delete table ip unilb_eip", "add table ip unilb_eip"]
    table.append("add chain ip unilb_eip prerouting { type nat hook prerouting priority dstnat; }")
    if pairs:
        table.append(f"add rule ip unilb_eip prerouting dnat to ip daddr map {{ {pairs} }}")
    return steps + [Step(name, "nft", line) for line in table]


def _vxlan(t: Topology, host: Machine, vpc: Vpc) -> list[Step]:
    """One VNI on one host: its vxlan device with the MACs behind it, and the bridge for the VMs."""
    device, bridge = f"vx{vpc.vni}", f"br{vpc.vni}"
    vxlan = f"type vxlan id {vpc.vni} local {vpc.vtep(host)} dstport {VXLAN_PORT} nolearning"
    steps = [
        Step(host.name, "ip", f"link add {device} mtu {vpc.mtu} {vxlan}", creates=device),
        Step(host.name, "ip", f"link add {bridge} mtu {vpc.mtu} type bridge mcast_snooping 0", creates=bridge),
        Step(host.name, "ip", f"link set {bridge} addrgenmode none up"),
        Step(host.name, "ip", f"link set {device} master {bridge} addrgenmode none up"),
    ]
    remotes = {m.inner_mac: vpc.vtep(m) for m in t.of_role("gateway", "l4")}
    for vm in t.vms.values():
        if vm.vpc == vpc.name and vm.host != host.name:
            remotes[vm.mac] = vpc.vtep(t.machines[vm.host])
    for lladdr, vtep in remotes.items():
        if vtep is None:  # a node without address6 leaves out what is behind VTEPs of IPv6
            continue
        steps += [
            Step(host.name, "bridge", f"fdb replace {lladdr} dev {device} dst {vtep} self permanent"),
            Step(host.name, "bridge", f"fdb replace {lladdr} dev {device} master static"),
        ]
    return steps


def _vm(t: Topology, vm: Vm, lab: str) -> list[Step]:
    """A namespace on its host. No ARP crosses the VXLAN: neighbours are told, as a cloud's controller would."""
    vpc = t.vpcs[vm.vpc]
    ns = namespace(lab, vm.name)
    veth = f"link add {vm.name} mtu {vpc.mtu} type veth peer name {NIC} address {vm.mac} mtu {vpc.mtu} netns {ns}"
    steps = [
        Step(vm.host, "netns", f"netns add {ns}", creates=ns),
        Step(vm.host, "ip", veth, creates=vm.name),
        Step(vm.host, "ip", f"link set {vm.name} master br{vpc.vni} addrgenmode none up"),
    ]
    steps += [Step(vm.host, "sysctl", f"{key} = {value}", vm.name) for key, value in VM_SYSCTLS.items()]
    flags = " nodad" if vpc.cidr.version == 6 else ""
    lines = ["link set lo up", f"link set {NIC} up"]
    lines.append(f"address replace {vm.address}/{vpc.cidr.prefixlen} dev {NIC}{flags}")
    lines += [
        f"neighbour replace {peer.address} lladdr {peer.mac} dev {NIC} nud permanent"
        for peer in t.vms.values()
        if peer.vpc == vm.vpc and peer.name != vm.name
    ]
    nodes = (*t.of_role("gateway"), *t.of_role("l4"))
    for next_hop, node in zip(_LINK_LOCAL[vpc.cidr.version].hosts(), nodes, strict=False):
        lines.append(f"neighbour replace {next_hop} lladdr {node.inner_mac} dev {NIC} nud permanent")
        known = [prefix for prefix in node.prefixes if prefix.version == vpc.cidr.version]
        lines += [f"route replace {prefix} via {next_hop} dev {NIC} onlink" for prefix in known]
    return steps + [Step(vm.host, "ip", line, vm.name) for line in lines]


# Next hops towards gateways and then L4 nodes, in the order of the topology: 169.254.0.1, or fe80::1, is the first one.
_LINK_LOCAL: dict[int, IPv4Network | IPv6Network] = {4: IPv4Network("169.254.0.0/16"), 6: IPv6Network("fe80::/64")}
