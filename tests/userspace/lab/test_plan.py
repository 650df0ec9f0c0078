"""userspace/lab/plan.py: the steps themselves, without a kernel."""

import pytest
import yaml

from userspace.lab import plan, topology
from userspace.lab.plan import Step
from userspace.lab.topology import Topology


def lines(steps: list[Step], machine: str, tool: str, vm: str | None = None) -> list[str]:
    return [step.line for step in steps if (step.machine, step.tool, step.vm) == (machine, tool, vm)]


@pytest.fixture
def steps(region: Topology) -> list[Step]:
    return plan.build(region, "lab")


# (what it is for, machine, VM, tool, line that must be there)
WANTED = [
    ("the router sends VIPs to the l4 machine", "router", None, "ip", "route replace 10.100.0.0/24 via 10.0.0.10"),
    ("and the l4 machine's local addresses", "router", None, "ip", "route replace 10.100.1.0/24 via 10.0.0.10"),
    ("the router owns the EIP", "router", None, "ip", "address replace 198.51.100.10/32 dev lo"),
    ("the router forwards", "router", None, "sysctl", "net/ipv4/ip_forward = 1"),
    ("a gateway does not forward", "gw1", None, "sysctl", "net/ipv4/ip_forward = 0"),
    ("a gateway takes answers that no route explains", "gw1", None, "sysctl", "net/ipv4/conf/all/rp_filter = 0"),
    ("a client has all its ports", "client", None, "sysctl", "net/ipv4/ip_local_port_range = 1024 65535"),
    ("an unclaimed VIP packet dies", "l4", None, "ip", "route replace blackhole 10.100.0.0/24"),
    ("the default route is the router's", "gw2", None, "ip", "route replace default via 10.2.0.1"),
    (
        "a VNI is a vxlan device of its own",
        "host1",
        None,
        "ip",
        "link add vx10010 mtu 1450 type vxlan id 10010 local 10.1.0.31 dstport 4789 nolearning",
    ),
    (
        "a host finds a gateway by its inner MAC",
        "host1",
        None,
        "bridge",
        "fdb replace 02:75:0a:01:00:0b dev vx10010 dst 10.1.0.11 self permanent",
    ),
    (
        "a host finds the other host's VM",
        "host1",
        None,
        "bridge",
        "fdb replace 02:00:c0:a8:00:0b dev vx10020 dst 10.2.0.32 self permanent",
    ),
    ("a VM is a namespace", "host1", None, "netns", "netns add lab-blue1"),
    (
        "a VM knows its neighbour",
        "host1",
        "blue1",
        "ip",
        "neighbour replace 192.168.0.11 lladdr 02:00:c0:a8:00:0b dev eth0 nud permanent",
    ),
    (
        "a VM answers a gateway over its next hop",
        "host1",
        "blue1",
        "ip",
        "route replace 198.18.1.0/24 via 169.254.0.1 dev eth0 onlink",
    ),
    (
        "whose MAC is the gateway's",
        "host1",
        "blue1",
        "ip",
        "neighbour replace 169.254.0.1 lladdr 02:75:0a:01:00:0b dev eth0 nud permanent",
    ),
    (
        "and the other gateway likewise",
        "host1",
        "blue1",
        "ip",
        "route replace 198.18.2.0/24 via 169.254.0.2 dev eth0 onlink",
    ),
]


# Likewise, of VPC six: its addresses are of IPv6.
SIX = [
    ("its vxlan device is as the others'", "host1", None, "ip", "type vxlan id 10030 local 10.1.0.31 dstport 4789"),
    (
        "a gateway is behind its VTEP",
        "host1",
        None,
        "bridge",
        "fdb replace 02:75:0a:01:00:0b dev vx10030 dst 10.1.0.11",
    ),
    ("the other VM too", "host1", None, "bridge", "fdb replace 02:00:00:00:00:11 dev vx10030 dst 10.2.0.32"),
    ("a VM has its address at once", "host1", "six1", "ip", "address replace fd00:a::10/64 dev eth0 nodad"),
    ("it knows its neighbour", "host1", "six1", "ip", "neighbour replace fd00:a::11 lladdr 02:00:00:00:00:11 dev eth0"),
    ("it answers over its next hop", "host1", "six1", "ip", "route replace fd18:1::/64 via fe80::1 dev eth0 onlink"),
    ("who is the gateway", "host1", "six1", "ip", "neighbour replace fe80::1 lladdr 02:75:0a:01:00:0b dev eth0"),
    ("and the other likewise", "host1", "six1", "ip", "route replace fd18:2::/64 via fe80::2 dev eth0 onlink"),
]
# And with an underlay of IPv6, which six runs over.
OVER6 = [
    ("the router forwards IPv6", "router", None, "sysctl", "net/ipv6/conf/all/forwarding = 1"),
    ("and is in each segment", "router", None, "ip", "address replace fd10:1::1/64 dev br-zone-a nodad"),
    ("a host has its address", "host1", None, "ip", "address replace fd10:1::31/64 dev eth0 nodad"),
    ("and a way to the others", "host1", None, "ip", "route replace default via fd10:1::1"),
    (
        "its vxlan device runs over it",
        "host1",
        None,
        "ip",
        "mtu 1430 type vxlan id 10030 local fd10:1::31 dstport 4789",
    ),
    ("a gateway is behind its VTEP", "host1", None, "bridge", "dev vx10030 dst fd10:1::11 self permanent"),
    (
        "the other host's VM too",
        "host2",
        None,
        "bridge",
        "fdb replace 02:00:00:00:00:10 dev vx10030 dst fd10:1::31 self",
    ),
    ("other VPCs stay on IPv4", "host1", None, "ip", "mtu 1450 type vxlan id 10010 local 10.1.0.31 dstport 4789"),
]


@pytest.mark.parametrize(("machine", "vm", "tool", "text"), [row[1:] for row in SIX], ids=[row[0] for row in SIX])
def test_a_vpc_of_ipv6_has(steps: list[Step], machine: str, vm: str | None, tool: str, text: str) -> None:
    assert [line for line in lines(steps, machine, tool, vm) if text in line]


@pytest.mark.parametrize(("machine", "vm", "tool", "text"), [row[1:] for row in OVER6], ids=[row[0] for row in OVER6])
def test_an_underlay_of_ipv6_has(region6: Topology, machine: str, vm: str | None, tool: str, text: str) -> None:
    assert [line for line in lines(plan.build(region6, "lab"), machine, tool, vm) if text in line]


def test_a_node_without_an_address_there_is_behind_no_vtep_of_ipv6(region6: Topology) -> None:
    assert region6.machines["l4"].address6 is None
    known = [line for line in lines(plan.build(region6, "lab"), "host1", "bridge") if "02:75:0a:00:00:0a" in line]
    assert {line.split()[4] for line in known} == {"vx10010", "vx10020"}


def test_vms_know_next_hops_of_their_family_only(steps: list[Step]) -> None:
    assert not any("fe80" in line or "fd18" in line for line in lines(steps, "host1", "ip", "blue1"))
    assert not any("169.254" in line or "198.18" in line for line in lines(steps, "host1", "ip", "six1"))


def test_local_addresses_of_ipv6_are_routed_to_an_l4_node_by_its_address_there(region6: Topology) -> None:
    written = yaml.safe_load(region6.text)
    l4 = written["machines"]["l4"]
    l4["addresses6"] = {"core": "fd10::10"}
    l4["laddrs"].append("fd96::1")
    l4["prefixes"].append("fd96::/64")
    steps = plan.build(topology.parse(yaml.safe_dump(written, sort_keys=False)), "lab")
    assert "route replace fd96::/64 via fd10::10" in lines(steps, "router", "ip")
    assert "route replace blackhole fd96::/64" in lines(steps, "l4", "ip")


@pytest.mark.parametrize(("machine", "vm", "tool", "line"), [row[1:] for row in WANTED], ids=[row[0] for row in WANTED])
def test_the_plan_has(steps: list[Step], machine: str, vm: str | None, tool: str, line: str) -> None:
    assert line in lines(steps, machine, tool, vm)


def test_nothing_is_used_before_it_is_made(steps: list[Step]) -> None:
    made: dict[str, set[str]] = {}
    for step in steps:
        inside = plan.namespace("lab", step.vm or step.machine)
        if step.tool == "netns":
            made[step.creates or ""] = {"lo", "eth0"}
            continue
        words = step.line.split()
        devices = {
            words[n + 1] for n, word in enumerate(words[:-1]) if word in ("dev", "master") and step.tool != "nft"
        }
        if words[:2] == ["link", "set"]:
            devices.add(words[2])
        assert devices - {"static"} <= made[inside], step
        if step.creates:
            made[inside].add(step.creates)
        if "netns" in words:
            assert words[words.index("netns") + 1] in made, step


def test_what_cannot_be_repeated_says_what_it_creates(steps: list[Step]) -> None:
    for step in steps:
        if " add " in step.line and step.tool != "nft":
            assert step.creates, step


def test_a_virtual_machine_gets_the_same_steps_on_its_own_interfaces(region: Topology) -> None:
    gw1 = region.machines["gw1"]
    lab = plan.configure(region, gw1, plan.lab_nics(gw1), "lab")
    vm = plan.configure(region, gw1, {"zone-a": "enp0s8"}, "lab")
    assert [step.line.replace("enp0s8", "eth0") for step in vm] == [step.line for step in lab]
    assert any("enp0s8" in step.line for step in vm)


@pytest.mark.parametrize("name", ["router", "gw1", "host1", "l4", "client", "etcd", "web1"])
def test_configuring_a_machine_makes_no_fabric(region: Topology, name: str) -> None:
    machine = region.machines[name]
    for step in plan.configure(region, machine, dict.fromkeys(machine.addresses, "eth1"), "lab"):
        assert step.machine == name
        assert "br-" not in step.line
        assert step.tool != "netns" or step.creates in {f"lab-{vm.name}" for vm in region.vms_on(name)}


def test_the_wire_of_a_node_on_xdp_completes_checksums_and_takes_its_frames(region: Topology) -> None:
    written = yaml.safe_load(region.text)
    written["machines"]["l4"]["hook"] = "xdp"
    steps = plan.build(topology.parse(yaml.safe_dump(written, sort_keys=False)), "lab")
    assert lines(steps, "router", "ethtool") == ["-K l4 tx off gro on"]


def test_two_vms_of_a_vpc_on_a_host_share_its_vxlan_device(region: Topology) -> None:
    written = yaml.safe_load(region.text)
    written["vms"]["blue3"] = {"vpc": "blue", "host": "host1", "address": "192.168.0.12"}
    steps = plan.build(topology.parse(yaml.safe_dump(written, sort_keys=False)), "lab")
    assert [step.creates for step in steps if step.machine == "host1" and step.creates].count("vx10010") == 1
    assert "link set blue3 master br10010 addrgenmode none up" in lines(steps, "host1", "ip")
    # its neighbour on the same host is behind the bridge, not behind the vxlan device
    assert not any("02:00:c0:a8:00:0c" in line for line in lines(steps, "host1", "bridge"))


def test_the_translation_of_eips_is_replaced_as_a_whole(steps: list[Step]) -> None:
    assert lines(steps, "router", "nft") == [
        "add table ip unilb_eip",
        "delete table ip unilb_eip",
        "add table ip unilb_eip",
        "add chain ip unilb_eip prerouting { type nat hook prerouting priority dstnat; }",
        "add rule ip unilb_eip prerouting dnat to ip daddr map { 198.51.100.10 : 10.100.0.10 }",
    ]
