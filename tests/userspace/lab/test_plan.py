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
