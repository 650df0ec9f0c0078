"""Upstreams in a VPC, there and back."""

from typing import Any

import pytest

from control.allocate.translate import split_vpc_id, translate_upstream, vpc_endpoints_of, vpc_ids_of
from control.model.errors import ModelError
from control.model.vpc import Vpc, VpcEndpoint

BLUE = Vpc(
    "blue",
    10010,
    "192.168.0.0/24",
    1450,
    {ip: VpcEndpoint(ip, "10.1.0.31", "02:00:00:00:00:01", u) for ip, u in [("192.168.0.10", "100.64.0.1")]},
)
TRANSLATED = {
    "host": "100.64.0.1",
    "port": 80,
    "weight": 1,
    "metadata": {"vpc_id": "blue", "vpc_ip": "192.168.0.10"},
}
WITHOUT_METADATA = {"host": "192.168.0.10", "port": 80, "weight": 1}


@pytest.mark.parametrize("nodes", [{"192.168.0.10:80": 1}, {"192.168.0.10": 1}, [WITHOUT_METADATA], [TRANSLATED]])
def test_every_form_of_nodes_becomes_the_same(nodes: Any) -> None:
    assert translate_upstream({"nodes": nodes}, "blue", {"blue": BLUE}) == {"nodes": [TRANSLATED]}


def test_a_translated_upstream_translates_to_itself_without_vpc_id() -> None:
    doc = {"nodes": [TRANSLATED], "name": "n"}
    assert translate_upstream(doc, None, {"blue": BLUE}) == doc


def test_a_classic_upstream_is_left_exactly_as_it_is() -> None:
    doc = {"nodes": {"10.0.0.1:80": 1}}
    assert translate_upstream(doc, None, {}) is doc


def test_what_was_given_is_not_changed() -> None:
    node = {**WITHOUT_METADATA, "metadata": {"mine": 1}}
    translate_upstream({"nodes": [node]}, "blue", {"blue": BLUE})
    assert node == {**WITHOUT_METADATA, "metadata": {"mine": 1}}


def test_the_same_machine_twice_is_refused() -> None:
    with pytest.raises(ModelError, match="100.64.0.1:80 is listed twice"):
        translate_upstream({"nodes": [WITHOUT_METADATA, TRANSLATED]}, "blue", {"blue": BLUE})


def test_the_vpcs_of_an_upstream_are_those_of_its_nodes_and_its_own() -> None:
    green = {**TRANSLATED, "metadata": {"vpc_id": 7, "vpc_ip": "192.168.0.9"}}
    assert vpc_ids_of({"nodes": [TRANSLATED, green]}, "red") == {"blue", "7", "red"}
    assert vpc_ids_of({"nodes": {"10.0.0.1:80": 1}}, None) == set()


@pytest.mark.parametrize("doc", [{}, {"nodes": None}, {"nodes": [1, {"metadata": 5}, {}]}, {"nodes": {"a": 1}}])
def test_somebody_elses_nodes_have_no_vpc(doc: dict[str, Any]) -> None:
    assert list(vpc_endpoints_of(doc)) == []


def test_vpc_id_is_taken_out_as_text() -> None:
    assert split_vpc_id({"vpc_id": 5, "nodes": {}}) == ({"nodes": {}}, "5")
    assert split_vpc_id({"nodes": {}}) == ({"nodes": {}}, None)


SIX = Vpc("six", 2, "fd00:a::/64", 1430, {"fd00:a::10": VpcEndpoint("fd00:a::10", "10.1.0.31", "", "fd75::1")})
TRANSLATED6 = {**TRANSLATED, "host": "[fd75::1]", "metadata": {"vpc_id": "six", "vpc_ip": "fd00:a::10"}}


@pytest.mark.parametrize(
    "nodes", [{"[FD00:A::10]:80": 1}, [{**WITHOUT_METADATA, "host": "[fd00:a::10]"}], [TRANSLATED6]]
)
def test_an_endpoint_of_ipv6_is_written_in_brackets(nodes: Any) -> None:
    assert translate_upstream({"nodes": nodes}, "six", {"six": SIX}) == {"nodes": [TRANSLATED6]}


def test_an_endpoint_of_ipv6_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"vpc \[six\] has no endpoint fd00:a::11"):
        translate_upstream({"nodes": {"[fd00:a::11]:80": 1}}, "six", {"six": SIX})
