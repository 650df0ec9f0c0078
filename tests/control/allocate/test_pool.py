"""The pool of unique IPs."""

from ipaddress import IPv4Network, IPv6Network
from itertools import islice

import pytest

from control.allocate.pool import Pool, Pools, parse_pool


def test_the_network_and_broadcast_addresses_are_never_given() -> None:
    assert list(Pool(IPv4Network("10.0.0.0/29")).free(set())) == [f"10.0.0.{n}" for n in range(1, 7)]


def test_taken_addresses_are_skipped() -> None:
    assert list(Pool(IPv4Network("10.0.0.0/29")).free({"10.0.0.1", "10.0.0.3"})) == [
        f"10.0.0.{n}" for n in (2, 4, 5, 6)
    ]


def test_a_big_pool_costs_only_what_is_taken_from_it() -> None:
    assert list(islice(Pool().free(set()), 2)) == ["100.64.0.1", "100.64.0.2"]


@pytest.mark.parametrize("text", ["", "100.64.0.1/10", "100.64.0.0/31", "100.64.0.0/32", "0.0.0.0/0", "fd00::/64"])
def test_a_bad_pool_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_pool(text)


def test_a_negative_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="rest"):
        parse_pool("100.64.0.0/10", -1)


def test_a_pool_of_ipv6_keeps_its_first_and_last_address() -> None:
    assert list(Pool(IPv6Network("fd00::/126")).free(set())) == ["fd00::1", "fd00::2"]
    assert list(islice(Pools().unique_ips6.free({"fd75:6e69:6c62::1"}), 1)) == ["fd75:6e69:6c62::2"]


@pytest.mark.parametrize("text", ["fd00::1/64", "fd00::/127", "::/0", "100.64.0.0/10"])
def test_a_bad_pool_of_ipv6_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_pool(text, version=6)
