"""VPCs."""

import re

import pytest

from control.model.errors import ModelError
from control.model.vpc import Vpc, VpcEndpoint

PLACE = {"vtep": "10.1.0.31", "mac": "02:00:C0:A8:00:0A"}


def test_a_vpc_is_read_in_one_spelling() -> None:
    doc = {
        "id": "blue",
        "vni": 10010.0,
        "cidr": "192.168.0.0/24",
        "endpoints": {"192.168.0.10": {**PLACE, "unique_ip": "100.64.0.1"}},
    }
    endpoint = VpcEndpoint("192.168.0.10", "10.1.0.31", "02:00:c0:a8:00:0a", "100.64.0.1")
    assert Vpc.from_json(doc) == Vpc("blue", 10010, "192.168.0.0/24", 1450, {"192.168.0.10": endpoint})


def test_before_allocation_there_is_no_unique_ip() -> None:
    vpc = Vpc.from_json({"vni": 1, "cidr": "10.0.0.0/8", "mtu": 1400, "endpoints": {"10.0.0.1": PLACE}}, "x")
    assert (vpc.id, vpc.mtu, vpc.endpoints["10.0.0.1"].unique_ip) == ("x", 1400, "")


def test_both_addresses_of_a_point_to_point_network_are_machines() -> None:
    vpc = Vpc.from_json({"vni": 1, "cidr": "10.0.0.0/31", "endpoints": {"10.0.0.0": PLACE, "10.0.0.1": PLACE}}, "x")
    assert len(vpc.endpoints) == 2


def test_a_vpc_may_be_empty() -> None:
    assert Vpc.from_json({"vni": 1, "cidr": "10.0.0.0/8"}, "x").endpoints == {}


def test_an_ipv6_vpc_is_read_in_one_spelling() -> None:
    place = {"vtep": "2001:DB8:1:0::31", "mac": PLACE["mac"], "unique_ip": "FD75:6E69:6C62:0::1"}
    vpc = Vpc.from_json({"vni": 1, "cidr": "fd00:a::/64", "endpoints": {"FD00:A:0::10": place}}, "six")
    assert vpc.cidr == "fd00:a::/64"
    assert vpc.endpoints == {
        "fd00:a::10": VpcEndpoint("fd00:a::10", "2001:db8:1::31", "02:00:c0:a8:00:0a", "fd75:6e69:6c62::1")
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mtu": 1279}, '"mtu" validation failed: IPv6 needs at least 1280, got 1279'),
        ({"endpoints": {"fd00:a::": PLACE}}, "fd00:a:: is not an address of a machine in fd00:a::/64"),
        ({"endpoints": {"fd00:b::1": PLACE}}, "fd00:b::1 is not an address of a machine in fd00:a::/64"),
        ({"endpoints": {"192.168.0.1": PLACE}}, "192.168.0.1 is not an address of a machine in fd00:a::/64"),
        ({"endpoints": {"fd00:a::1": PLACE, "fd00:a:0::1": PLACE}}, "fd00:a::1 is listed twice"),
        ({"cidr": "fe80::/64", "endpoints": {"fe80::1": PLACE}}, "fe80::1 is not a unicast address"),
        (
            {"endpoints": {"fd00:a::1": {**PLACE, "unique_ip": "100.64.0.1"}}},
            '"endpoints.fd00:a::1.unique_ip" validation failed: 100.64.0.1 is not of the family of fd00:a::1',
        ),
    ],
)
def test_what_makes_no_sense_in_an_ipv6_vpc_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=re.escape(says)):
        Vpc.from_json({"vni": 1, "cidr": "fd00:a::/64", **change}, "six")
