"""Nodes."""

from control.model.node import Node


def test_a_node_is_read_with_its_defaults() -> None:
    doc = {"id": "gw1", "role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1"]}
    assert Node.from_json(doc) == Node("gw1", "gateway", "a", "10.1.0.11", ("198.18.1.1",), 1024, 65535)


def test_a_node_may_have_no_local_address_and_few_ports() -> None:
    doc = {"role": "l4", "zone": "core", "address": "10.0.0.10", "port_min": 2000, "port_max": 2000}
    assert Node.from_json(doc, "l4") == Node("l4", "l4", "core", "10.0.0.10", (), 2000, 2000)
