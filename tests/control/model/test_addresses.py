"""Addresses."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from control.model.addresses import is_usable, network, unicast, unicast_mac
from control.model.errors import ModelError


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "", "1.2"]
)
def test_what_no_machine_can_have_is_refused_with_the_fields_name(text: str) -> None:
    with pytest.raises(ModelError, match='property "here" validation failed'):
        unicast(text, "here")


@pytest.mark.parametrize("text", ["1.0.0.1", "10.0.0.0", "100.64.0.1", "169.254.1.1", "198.18.1.1", "223.255.255.255"])
def test_addresses_of_machines_pass(text: str) -> None:
    assert str(unicast(text, "here")) == text


@pytest.mark.parametrize(
    "text", ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/255.0.0.256", "x", "::1/0", "fd00::/129", "10.0.0.0/-1"]
)
def test_a_network_has_no_host_bits(text: str) -> None:
    with pytest.raises(ModelError, match='property "here"'):
        network(text, "here")


def test_ends_of_a_network_are_nobodys_unless_it_has_only_them() -> None:
    within = IPv4Network("10.0.0.0/30")
    assert [is_usable(IPv4Address(f"10.0.0.{n}"), within) for n in range(5)] == [False, True, True, False, False]
    assert is_usable(IPv4Address("10.0.0.0"), IPv4Network("10.0.0.0/32"))


@pytest.mark.parametrize(
    "text", ["", "02:00", "02:00:00:00:00:0g", "02:00:00:00:00:00:00", "02:00:00:00:00:00\n", "03:00:00:00:00:01"]
)
def test_a_mac_is_six_bytes_and_unicast(text: str) -> None:
    with pytest.raises(ModelError, match='property "here"'):
        unicast_mac(text, "here")
