"""VPCs."""

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
