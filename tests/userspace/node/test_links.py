"""Devices, routes and settings, in a network namespace of the test's own."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.packets import packet_namespace
from userspace.node import links
from userspace.node.links import Device, LinkError

pytestmark = pytest.mark.netns


@pytest.fixture
def underlay() -> Iterator[Device]:
    with packet_namespace():
        yield links.device_of("10.0.0.10")


def ip(*words: str) -> Any:
    return json.loads(subprocess.check_output(["ip", "-j", *words]) or "[]")


def test_the_device_is_found_by_its_address(underlay: Device) -> None:
    assert (underlay.name, underlay.mac, underlay.mtu) == ("u0", "02:00:00:00:00:0a", 1500)


def test_it_is_found_by_its_address_of_ipv6_too(underlay: Device) -> None:
    assert links.device_of("2001:db8::10") == underlay


def test_an_address_that_no_device_has_is_named(underlay: Device) -> None:
    with pytest.raises(LinkError, match=r"10\.0\.0\.99"):
        links.device_of("10.0.0.99")


def test_unique_ips_are_routed_to_the_vpc_device_with_room_for_the_tunnel(underlay: Device) -> None:
    made = links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", underlay, "10.0.0.10", 50)
    (route,) = ip("route", "show", "100.64.0.0/10")
    assert (route["dev"], route["prefsrc"]) == ("unilb0", "10.0.0.10")
    assert route["metrics"] == [{"mtu": 1450}]
    (link,) = ip("link", "show", "unilb0")
    assert link["ifindex"] == made.index and link["address"] == made.mac
    assert {"UP", "NOARP"} <= set(link["flags"])


def test_unique_ips_of_ipv6_are_too_from_an_address_that_nobody_is_given(underlay: Device) -> None:
    links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", underlay, "10.0.0.10", 70)
    (route,) = ip("-6", "route", "show", "fd64::/64")
    assert (route["dev"], route["prefsrc"], route["metrics"]) == (
        "unilb0",
        "fd64::ffff:ffff:ffff:ffff",
        [{"mtu": 1430}],
    )
    addresses = ip("-6", "addr", "show", "unilb0")[0]["addr_info"]
    assert [(a["local"], a["prefixlen"]) for a in addresses] == [("fd64::ffff:ffff:ffff:ffff", 128)]
    assert ip("-6", "addr", "show", "unilb1") in ([], [{}])


def test_the_vpc_device_takes_what_the_underlay_carries(underlay: Device) -> None:
    links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", replace(underlay, mtu=9000), "10.0.0.10", 50)
    assert [ip("link", "show", name)[0]["mtu"] for name in ("unilb0", "unilb1")] == [9000, 9000]


def test_making_the_vpc_device_twice_changes_nothing(underlay: Device) -> None:
    first = links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", underlay, "10.0.0.10", 50)
    before = ip("route"), ip("-6", "route"), ip("link")
    assert links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", underlay, "10.0.0.10", 50) == first
    assert (ip("route"), ip("-6", "route"), ip("link")) == before


def test_removing_the_vpc_device_takes_its_route(underlay: Device) -> None:
    links.ensure_vpc_device("100.64.0.0/10", "fd64::/64", underlay, "10.0.0.10", 50)
    assert links.remove_devices()
    assert ip("route", "show", "100.64.0.0/10") == []
    assert not links.remove_devices()


def test_long_segments_to_ipv6_have_a_device_that_only_sends(underlay: Device) -> None:
    index = links.ensure_segments_device()
    assert links.ensure_segments_device() == index
    (link,) = ip("-d", "link", "show", "unilb6")
    assert link["ifindex"] == index and "NOARP" in link["flags"] and link["linkinfo"]["info_kind"] == "vxlan"
    assert ip("addr", "show", "unilb6")[0]["addr_info"] == []
    assert subprocess.check_output(["sysctl", "-n", "net.ipv6.conf.unilb6.disable_ipv6"]) == b"1\n"
    assert links.remove_devices() == ["unilb6"]


def test_another_vxlan_device_on_the_port_is_left_alone(underlay: Device) -> None:
    subprocess.run(["ip", "link", "add", "other", "type", "vxlan", "dstport", "4789", "external"], check=True)
    subprocess.run(["ip", "link", "set", "other", "up"], check=True)
    assert links.ensure_segments_device() == 0
    assert [link["ifname"] for link in ip("link", "show", "type", "vxlan")] == ["other"]


def test_settings_are_written_and_those_that_do_not_exist_left_out(underlay: Device) -> None:
    links.set_sysctl("ipv4/conf/u0/forwarding", "0")
    links.prepare_l4(underlay)
    assert subprocess.check_output(["sysctl", "-n", "net.ipv4.conf.u0.forwarding"]) == b"1\n"
    links.set_sysctl("ipv4/no_such_setting", "1")
    for family in ("ipv4", "ipv6"):
        links.set_sysctl(f"{family}/conf/lo/forwarding", "0")
    links.prepare_gateway()
    assert subprocess.check_output(["sysctl", "-n", "net.ipv4.tcp_migrate_req"]) == b"1\n"
    for family in ("ipv4", "ipv6"):
        assert subprocess.check_output(["sysctl", "-n", f"net.{family}.conf.lo.forwarding"]) == b"1\n"


def test_without_filters_there_is_nothing_to_detach(underlay: Device) -> None:
    assert links.detach_every_clsact() == []


def test_gro_is_switched_on_by_name(underlay: Device) -> None:
    subprocess.run(["ethtool", "-K", "u0", "gro", "off"], check=True)
    links.set_gro("u0")
    assert "generic-receive-offload: on" in subprocess.check_output(["ethtool", "-k", "u0"], text=True)


def test_ipv6_is_forwarded_only_where_it_is_used(underlay: Device) -> None:
    knob = Path("/proc/sys/net/ipv6/conf/u0/forwarding")
    knob.write_text("0")
    links.prepare_l4(underlay)
    assert knob.read_text() == "0\n"
    links.prepare_l4(underlay, has_ipv6=True)
    assert knob.read_text() == "1\n"


def test_neighbours_not_heard_of_for_a_while_are_asked_for_anew(underlay: Device) -> None:
    stale = "neigh replace 10.0.0.7 lladdr 02:00:00:00:00:07 dev u0 nud stale"
    subprocess.run(["ip", *stale.split()], check=True)
    assert links.refresh_neighbours(underlay.index) == 1
    states = {entry["dst"]: entry["state"] for entry in ip("neigh", "show", "dev", "u0")}
    assert states["10.0.0.7"] == ["DELAY"]
    assert states["10.0.0.1"] == ["PERMANENT"]
    assert links.refresh_neighbours(underlay.index) == 0


def local(family: str) -> set[str]:
    return {route["dst"] for route in ip(family, "route", "show", "table", "local", "proto", "75")}


def test_this_machine_receives_for_exactly_the_vips_it_was_told(underlay: Device) -> None:
    for vips in ({"10.100.0.20", "2001:db8:100::20"}, {"10.100.0.20", "10.100.0.21"}, {"10.100.0.21"}):
        for _ in range(2):
            links.own_vips(frozenset(vips), underlay.name)
            assert local("-4") | local("-6") == vips
    assert links.disown_vips() == ["10.100.0.21"]
    assert local("-4") | local("-6") == set()


def test_no_arp_is_answered_for_them_nor_asked_with_them(underlay: Device) -> None:
    links.own_vips(frozenset({"10.100.0.20"}), underlay.name)
    settings = Path("/proc/sys/net/ipv4/conf/u0")
    assert [(settings / name).read_text().strip() for name in ("arp_ignore", "arp_announce")] == ["1", "2"]


def test_a_vip_that_the_kernel_refuses_is_named(underlay: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_local_route", lambda ip, vip: {"dst": f"{vip}/32", "oif": 9999})
    with pytest.raises(LinkError, match=r"10\.100\.0\.20"):
        links.own_vips(frozenset({"10.100.0.20"}), underlay.name)
