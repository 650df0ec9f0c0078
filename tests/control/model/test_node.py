"""Nodes."""

import pytest

from control.model.errors import ModelError
from control.model.node import Node


def test_a_node_is_read_with_its_defaults() -> None:
    doc = {"id": "gw1", "role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1"]}
    assert Node.from_json(doc) == Node("gw1", "gateway", "a", "10.1.0.11", ("198.18.1.1",), 1024, 65535)


def test_a_node_may_have_no_local_address_and_few_ports() -> None:
    doc = {"role": "l4", "zone": "core", "address": "10.0.0.10", "port_min": 2000, "port_max": 2000}
    assert Node.from_json(doc, "l4") == Node("l4", "l4", "core", "10.0.0.10", (), 2000, 2000)


def test_a_node_may_have_addresses_of_both_families() -> None:
    doc = {
        "role": "gateway",
        "zone": "a",
        "address": "10.1.0.11",
        "address6": "2001:DB8::11",
        "laddrs": ["198.18.1.1", "2001:db8:0:1::1"],
    }
    node = Node.from_json(doc, "gw1")
    assert (node.address6, node.laddrs) == ("2001:db8::11", ("198.18.1.1", "2001:db8:0:1::1"))


def test_an_ipv4_address_is_no_address6() -> None:
    with pytest.raises(ModelError, match=r"10\.1\.0\.11 is not an IPv6 address"):
        Node.from_json({"role": "gateway", "zone": "a", "address": "10.1.0.11", "address6": "10.1.0.11"}, "gw1")
