"""userspace/lab/topology.py: what the file says, and what it may not say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from userspace.lab import topology
from userspace.lab.fields import TopologyError
from userspace.lab.topology import Topology

Change = Callable[[dict[str, Any]], Any]


def machine(name: str, **fields: object) -> Change:
    return lambda t: t["machines"][name].update(fields)


REFUSED: list[tuple[str, Change, str]] = [
    ("a role that does not exist", machine("gw1", role="switch"), "machines.gw1.role: 'switch' is none of router"),
    ("an unknown field", machine("gw1", adress="10.1.0.1"), "machines.gw1.adress: unknown field"),
    ("an unknown section", lambda t: t.update(machine={}), "machine: unknown field"),
    (
        "an address that is none",
        machine("gw1", addresses={"zone-a": "10.1.0"}),
        "machines.gw1.addresses.zone-a: '10.1.0'",
    ),
    ("an address of another segment", machine("gw1", addresses={"zone-a": "10.2.0.11"}), "is not inside 10.1.0.0/24"),
    ("an address that is taken", machine("gw1", addresses={"zone-a": "10.1.0.21"}), "machines.web1.addresses.zone-a"),
    ("a segment that does not exist", machine("gw1", addresses={"zone-c": "10.1.0.11"}), "no such segment"),
    ("a machine in two segments", machine("web1", addresses={"zone-a": "10.1.0.21", "core": "10.0.0.21"}), "found 2"),
    (
        "a router that misses a segment",
        lambda t: t["machines"]["router"]["addresses"].pop("ext"),
        "a router has 4, found 3",
    ),
    ("a hook that does not exist", machine("gw1", hook="tc"), "machines.gw1.hook: 'tc' is none of auto, tcx"),
    ("a hook where no node runs", machine("web1", hook="xdp"), "machines.web1.hook: a web runs no node"),
    ("two routers", machine("web1", role="router"), "exactly one machine with role router, found 2"),
    ("no control machine", lambda t: t["machines"].pop("etcd"), "exactly one machine with role control, found 0"),
    ("a gateway without a zone", lambda t: t["machines"]["gw1"].pop("zone"), "machines.gw1: a gateway needs zone"),
    ("a local address out of its prefix", machine("gw2", laddrs=["198.18.1.9"]), "machines.gw2.laddrs: 198.18.1.9"),
    (
        "a name too long for an interface",
        lambda t: t["vms"].update(blueberrymuffin={}),
        "vms.blueberrymuffin: is not a name",
    ),
    ("a name that a shell would mind", lambda t: t["vms"].update({"a b": {}}), "vms.a b: is not a name"),
    ("a name that begins with a digit", lambda t: t["machines"].update({"1 up": {}}), "machines.1 up: is not a name"),
    (
        "an EIP that is no address",
        lambda t: t["eips"].update({"public": "public"}),
        "eips.public: 'public' is not an IPv4",
    ),
    ("a VNI of 25 bits", lambda t: t["vpcs"]["blue"].update(vni=1 << 24), "vpcs.blue.vni: must be a number from 1 to"),
    ("a VNI twice", lambda t: t["vpcs"]["green"].update(vni=10010), "vpcs.green.vni: 10010 already belongs to blue"),
    ("an inner MTU that does not fit", lambda t: t["vpcs"]["blue"].update(mtu=1451), "vpcs.blue.mtu"),
    ("a true VNI", lambda t: t["vpcs"]["blue"].update(vni=True), "vpcs.blue.vni: must be a number"),
    ("a VM of no VPC", lambda t: t["vms"]["blue1"].update(vpc="red"), "vms.blue1.vpc: no such VPC: red"),
    ("a VM on no host", lambda t: t["vms"]["blue1"].update(host="gw1"), "vms.blue1.host: no such vpc-host: gw1"),
    ("a VM out of its VPC", lambda t: t["vms"]["blue1"].update(address="192.168.1.1"), "is not inside 192.168.0.0/24"),
    (
        "a VPC address twice",
        lambda t: t["vms"]["blue2"].update(address="192.168.0.10"),
        "already belongs to blue1 in VPC",
    ),
    ("a VM named like a machine", lambda t: t["vms"].update(gw1=t["vms"]["blue1"]), "vms.gw1: a machine has this name"),
    (
        "a VIP that nothing routes",
        lambda t: t["vips"]["public"].update(address="10.9.0.1"),
        "vips.public.address: 10.9.0.1",
    ),
    ("a VIP to no gateway", lambda t: t["vips"]["public"].update(targets=["web1"]), "no such gateway: web1"),
    ("an EIP of no VIP", lambda t: t["eips"].update({"198.51.100.11": "private"}), "eips.198.51.100.11: no such VIP"),
    ("a VPC of neither family", lambda t: t["vpcs"]["six"].update(cidr="fd00:a::/200"), "is not an IP network"),
    ("IPv6 that does not fit", lambda t: t["vpcs"]["six"].update(mtu=1279), "vpcs.six.mtu: must be a number from 1280"),
    (
        "a tunnel of IPv6 that does not fit",
        lambda t: t["vpcs"]["six"].update(underlay="ipv6"),
        "vpcs.six.mtu: must be a number from 1280 to 1430",
    ),
    ("an underlay of no family", lambda t: t["vpcs"]["six"].update(underlay="ipx"), "vpcs.six.underlay: 'ipx' is none"),
    (
        "a host without a VTEP of its VPC",
        lambda t: t["vpcs"]["six"].update(underlay="ipv6", mtu=1430),
        "vms.six1.host: host1 has none of addresses6, which VPC six runs over",
    ),
    (
        "a VM of the other family",
        lambda t: t["vms"]["six1"].update(address="192.168.0.10"),
        "is not inside fd00:a::/64",
    ),
    (
        "two VMs of one MAC",
        lambda t: t["vms"]["six2"].update(address="fd00:a::1:0:10"),
        "02:00:00:00:00:10 already belongs to six1 in VPC six",
    ),
    (
        "a VPC that no gateway speaks to",
        lambda t: [t["machines"][gateway]["laddrs"].pop() for gateway in ("gw1", "gw2")],
        "vpcs.six.cidr: no gateway has a local address of IPv6",
    ),
    ("a segment of IPv6 that is none", lambda t: t.update(segments6={"core": "10.0.0.0/24"}), "is not an IPv6 network"),
    ("a section that is a list", lambda t: t.update(vpcs=[]), "vpcs: must be a mapping"),
    ("a missing field", lambda t: t["vms"]["blue1"].pop("host"), "vms.blue1.host: is missing"),
]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refuses(region: Topology, change: Change, text: str) -> None:
    written = yaml.safe_load(region.text)
    change(written)
    with pytest.raises(TopologyError) as refused:
        topology.parse(yaml.safe_dump(written, sort_keys=False))
    assert text in str(refused.value)


REFUSED6: list[tuple[str, Change, str]] = [
    ("an address that is IPv4", machine("gw1", addresses6={"zone-a": "10.1.0.11"}), "is not an IPv6 address"),
    ("an address that is none", machine("gw1", addresses6={"zone-a": "fd10::g"}), "'fd10::g' is not an IP address"),
    ("an address of another segment", machine("gw1", addresses6={"zone-a": "fd10:2::11"}), "not inside fd10:1::/64"),
    ("an address that is taken", machine("gw1", addresses6={"zone-a": "fd10:1::31"}), "already belongs to gw1"),
    (
        "a segment without IPv6",
        machine("client", addresses6={"ext": "fd20::9"}),
        "client.addresses6.ext: no such segment",
    ),
    ("a segment that it is not in", machine("gw1", addresses6={"core": "fd10::11"}), "gw1.addresses6: not in core"),
    (
        "a router that misses a segment",
        lambda t: t["machines"]["router"]["addresses6"].pop("core"),
        "router.addresses6: a router needs one in core",
    ),
    (
        "prefixes that lead nowhere",
        lambda t: t["machines"]["l4"]["prefixes"].append("fd96::/64"),
        "machines.l4.prefixes: of IPv6, which are routed to an address6 that it lacks",
    ),
]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in REFUSED6], ids=[row[0] for row in REFUSED6])
def test_refuses_of_an_underlay_of_ipv6(region6: Topology, change: Change, text: str) -> None:
    written = yaml.safe_load(region6.text)
    change(written)
    with pytest.raises(TopologyError) as refused:
        topology.parse(yaml.safe_dump(written, sort_keys=False))
    assert text in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "machines: [", "a: b: c"])
def test_refuses_what_is_no_mapping(text: str) -> None:
    with pytest.raises(TopologyError):
        topology.parse(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="nowhere.yaml"):
        topology.load(tmp_path / "nowhere.yaml")


def test_macs_follow_from_addresses(region: Topology) -> None:
    assert region.machines["gw1"].inner_mac == "02:75:0a:01:00:0b"
    assert region.vms["blue1"].mac == region.vms["green1"].mac == "02:00:c0:a8:00:0a"
    assert region.vms["six1"].mac == "02:00:00:00:00:10"


def test_the_region_is_the_documented_one(region: Topology) -> None:
    addresses = {m.name: str(m.address) for m in region.machines.values() if m.role != "router"}
    assert addresses == {
        "etcd": "10.0.0.5",
        "l4": "10.0.0.10",
        "gw1": "10.1.0.11",
        "gw2": "10.2.0.12",
        "web1": "10.1.0.21",
        "web2": "10.2.0.22",
        "host1": "10.1.0.31",
        "host2": "10.2.0.32",
        "client": "203.0.113.9",
    }
    assert {str(eip): str(region.vips[vip].address) for eip, vip in region.eips.items()} == {
        "198.51.100.10": "10.100.0.10"
    }
