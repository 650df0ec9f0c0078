"""VIPs."""

import re

import pytest

from control.model.errors import ModelError
from control.model.vip import Check, Vip, VipTarget


def test_a_vip_is_read_with_its_defaults() -> None:
    doc = {"id": "web", "address": "10.100.0.10", "port": 80, "targets": [{"node": 1, "port": 80}]}
    assert Vip.from_json(doc) == Vip("web", "10.100.0.10", 80, "tcp", (VipTarget("1", 80, 1),))


def test_a_gateway_may_listen_on_two_ports_and_a_weight_may_be_zero() -> None:
    targets = [{"node": "gw1", "port": 80, "weight": 0}, {"node": "gw1", "port": 81}]
    vip = Vip.from_json({"address": "10.100.0.10", "port": 80, "protocol": "tcp", "targets": targets}, "web")
    assert vip.targets == (VipTarget("gw1", 80, 0), VipTarget("gw1", 81, 1))


def test_a_target_may_be_a_backend_classic_or_in_a_vpc() -> None:
    targets = [
        {"address": "10.1.0.21", "port": 5432},
        {"address": "192.168.0.10", "vpc_id": "blue", "port": 5432, "state": "drain"},
    ]
    vip = Vip.from_json({"address": "10.100.0.11", "port": 5432, "protocol": "udp", "targets": targets}, "db")
    assert vip.protocol == "udp"
    assert vip.targets == (
        VipTarget("", 5432, address="10.1.0.21"),
        VipTarget("", 5432, address="192.168.0.10", vpc_id="blue", state="drain"),
    )


def test_an_ipv6_vip_is_spelled_in_one_way() -> None:
    doc = {"address": "2001:DB8:0::1", "port": 80, "targets": [{"address": "2001:db8::0002", "port": 80}]}
    vip = Vip.from_json(doc, "v6")
    assert (vip.address, vip.targets[0].address) == ("2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize(
    ("address", "target", "says"),
    [
        ("nowhere", {"node": "gw1"}, '"nowhere" is not an IP address'),
        ("224.0.0.1", {"node": "gw1"}, "224.0.0.1 is not a unicast address"),
        ("ff02::1", {"node": "gw1"}, "ff02::1 is not a unicast address"),
        ("fe80::1", {"node": "gw1"}, "fe80::1 is not a unicast address"),
        ("10.100.0.10", {}, 'expected either "node" or "address"'),
        ("10.100.0.10", {"node": "gw1", "address": "10.1.0.1"}, 'expected either "node" or "address"'),
        ("10.100.0.10", {"node": "gw1", "vpc_id": "blue"}, '"vpc_id" goes with "address"'),
        ("10.100.0.10", {"address": "2001:db8::1"}, "is not of the VIP's address family"),
        ("2001:db8::1", {"address": "10.1.0.1"}, "is not of the VIP's address family"),
        ("2001:db8::1", {"address": "192.168.0.1", "vpc_id": "blue"}, "is not of the VIP's address family"),
        ("10.100.0.10", {"address": "fd00:a::10", "vpc_id": "blue"}, "is not of the VIP's address family"),
        ("10.100.0.10", {"node": "gw1", "state": "gone"}, "state"),
    ],
)
def test_what_makes_no_sense_is_refused(address: str, target: dict[str, str], says: str) -> None:
    with pytest.raises(ModelError, match=re.escape(says)):
        Vip.from_json({"address": address, "port": 80, "targets": [{"port": 80, **target}]}, "v")


def test_one_backend_is_listed_once() -> None:
    target = {"address": "10.1.0.21", "port": 5432}
    with pytest.raises(ModelError, match=re.escape("address 10.1.0.21 port 5432 is listed twice")):
        Vip.from_json({"address": "10.100.0.11", "port": 5432, "targets": [target, target]}, "v")


def test_a_dsr_vips_targets_are_tunnel_ends_of_ipv4() -> None:
    targets = [{"node": "gw1", "port": 80}, {"address": "10.1.0.21", "port": 80}]
    vip = Vip.from_json({"address": "2001:db8::1", "port": 80, "mode": "dsr", "targets": targets}, "d")
    assert (vip.mode, vip.targets) == ("dsr", (VipTarget("gw1", 80), VipTarget("", 80, address="10.1.0.21")))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"node": "gw1", "port": 8080}, 'in mode "dsr" the port of each target is the VIP\'s, 80'),
        ({"address": "2001:db8::2", "port": 80}, '2001:db8::2: in mode "dsr" a target is an IPv4 address'),
        ({"address": "192.168.0.1", "vpc_id": "blue", "port": 80}, 'mode "dsr" has no targets in a VPC'),
    ],
)
def test_what_dsr_cannot_do_is_refused(target: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=re.escape(says)):
        Vip.from_json({"address": "2001:db8::1", "port": 80, "mode": "dsr", "targets": [target]}, "d")


def test_a_mode_is_fnat_or_dsr() -> None:
    with pytest.raises(ModelError, match="mode"):
        Vip.from_json({"address": "10.100.0.10", "port": 80, "mode": "tunnel", "targets": []}, "d")


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({}, Check(interval=2, timeout=1, rise=2, fall=3)),
        ({"check": {"interval": 5, "port": 8080}}, Check(interval=5, port=8080)),
        ({"check": {"timeout": 0.5, "rise": 1, "fall": 1}}, Check(timeout=0.5, rise=1, fall=1)),
        ({"check": {"panic_threshold": 50}}, Check(panic_threshold=50)),
        ({"check": {"enabled": False, "interval": 5}}, None),
        ({"protocol": "udp"}, None),
        ({"protocol": "udp", "check": {"port": 53}}, Check(port=53)),
    ],
)
def test_targets_of_tcp_are_checked_unless_it_is_said(fields: dict[str, object], check: Check | None) -> None:
    doc = {"address": "10.100.0.10", "port": 80, "targets": [{"node": "gw1", "port": 80}], **fields}
    assert Vip.from_json(doc, "v").check == check


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"check": {"interval": 0}}, "interval"),
        ({"check": {"timeout": 0}}, "timeout"),
        ({"check": {"rise": 0}}, "rise"),
        ({"check": {"fall": 255}}, "fall"),
        ({"check": {"http_path": "/"}}, "http_path"),
        ({"check": {"panic_threshold": 101}}, "panic_threshold"),
        ({"check": {"panic_threshold": -1}}, "panic_threshold"),
        ({"check": {"panic_threshold": "half"}}, "panic_threshold"),
        ({"protocol": "udp", "check": {"interval": 1}}, 'a UDP VIP needs its "port": a check is a TCP connection'),
    ],
)
def test_a_check_that_cannot_be_is_refused(fields: dict[str, object], says: str) -> None:
    doc = {"address": "10.100.0.10", "port": 80, "targets": [], **fields}
    with pytest.raises(ModelError, match=re.escape(says)):
        Vip.from_json(doc, "v")
