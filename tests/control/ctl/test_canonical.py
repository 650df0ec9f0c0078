from typing import Any

import pytest

from control.ctl.canonical import for_comparison, is_same, portable
from control.ctl.kinds import BY_NAME

ROUTES, UPSTREAMS, VPCS, SSLS = (BY_NAME[name] for name in ("routes", "upstreams", "vpcs", "ssls"))
IN_BLUE = {"vpc_id": "blue", "vpc_ip": "192.168.0.10"}


@pytest.mark.parametrize(
    ("collection", "live", "wanted"),
    [
        ("routes", {"uri": "/", "id": "1", "create_time": 5, "update_time": 6}, {"uri": "/"}),
        ("routes", {"uri": "/", "priority": 5}, {"uri": "/", "priority": 5.0}),
        ("routes", {"uri": "/", "upstream": {"nodes": [{"host": "a", "port": 80, "weight": 1}]}},
         {"uri": "/", "upstream": {"nodes": {"a:80": 1}}}),
        ("upstreams", {"nodes": {"a:80": 1, "b:80": 2}}, {"nodes": {"b": 2, "a": 1}}),
        ("upstreams", {"nodes": {"a": 1}, "scheme": "https"}, {"nodes": {"a:443": 1}, "scheme": "https"}),
        ("upstreams", {"nodes": {"[::1]:80": 1}}, {"nodes": {"[::1]": 1}}),
        ("upstreams", {"nodes": [{"host": "100.64.0.1", "port": 80, "weight": 1, "metadata": IN_BLUE}]},
         {"vpc_id": "blue", "nodes": {"192.168.0.10:80": 1}}),
        ("upstreams", {"nodes": [{"host": "100.64.0.1", "port": 80, "weight": 1, "metadata": IN_BLUE}]},
         {"nodes": [{"host": "192.168.0.10", "port": 80, "weight": 1, "metadata": IN_BLUE}]}),
        ("upstreams", {"nodes": [{"host": "h", "weight": 1, "metadata": {"vpc_id": 7, "vpc_ip": "i"}}]},
         {"vpc_id": "7", "nodes": [{"host": "i", "weight": 1}]}),
        ("vpcs", {"vni": 1, "endpoints": {"i": {"vtep": "v", "mac": "m", "unique_ip": "u"}}},
         {"vni": 1, "endpoints": {"i": {"vtep": "v", "mac": "m"}}}),
        ("ssls", {"cert": "c", "snis": ["s"], "validity_end": 9}, {"cert": "c", "snis": ["s"], "key": "k"}),
        ("upstreams", {"nodes": {}, "tls": {"client_cert": "c", "client_key": "cipher"}},
         {"nodes": {}, "tls": {"client_cert": "c", "client_key": "plain"}}),
    ],
)  # fmt: skip
def test_what_the_server_adds_or_spells_otherwise_is_no_difference(
    collection: str, live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert is_same(BY_NAME[collection], live, wanted)


@pytest.mark.parametrize(
    ("collection", "live", "wanted"),
    [
        ("routes", {"uri": "/", "status": 1}, {"uri": "/"}),
        ("routes", {"uri": "/", "enable_websocket": True}, {"uri": "/", "enable_websocket": 1}),
        ("routes", {"uri": "/", "desc": "x"}, {"uri": "/"}),
        ("upstreams", {"nodes": {"a:80": 1}}, {"nodes": {"a:81": 1}}),
        ("upstreams", {"nodes": [{"host": "u", "port": 80, "weight": 1, "metadata": IN_BLUE}]},
         {"nodes": {"192.168.0.10:80": 1}}),
        ("vpcs", {"vni": 1, "endpoints": {"i": {"vtep": "v", "mac": "m"}}}, {"vni": 1}),
        ("ssls", {"cert": "c"}, {"cert": "d", "key": "k"}),
    ],
)  # fmt: skip
def test_what_means_something_else_is_a_difference(
    collection: str, live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert not is_same(BY_NAME[collection], live, wanted)


def test_endpoints_of_several_networks_keep_their_vpc_and_lose_the_unique_ip() -> None:
    stored = {"nodes": [{"host": "10.0.0.9", "weight": 1}, {"host": "100.64.0.1", "weight": 1, "metadata": IN_BLUE}]}
    assert portable(UPSTREAMS, stored)["nodes"][1]["host"] == "192.168.0.10"
    in_two_ways = {
        "vpc_id": "green",
        "nodes": [{"host": "192.168.0.9", "weight": 1}, {"host": "x", "weight": 1, "metadata": IN_BLUE}],
    }
    nodes = portable(UPSTREAMS, in_two_ways)["nodes"]
    assert [node["metadata"]["vpc_id"] for node in nodes] == ["green", "blue"]


def test_own_metadata_of_an_endpoint_stays() -> None:
    node = {"host": "100.64.0.1", "weight": 1, "metadata": {**IN_BLUE, "rack": "r1"}}
    assert portable(UPSTREAMS, {"nodes": [node]})["nodes"] == [
        {"host": "192.168.0.10", "weight": 1, "metadata": {"rack": "r1"}}
    ]


def test_objects_are_not_changed_and_nonsense_passes_through() -> None:
    live = {"uri": "/", "upstream": {"nodes": [{"host": "u", "weight": 1, "metadata": dict(IN_BLUE)}]}}
    before = repr(live)
    for_comparison(ROUTES, live)
    assert repr(live) == before
    for nonsense in ({"nodes": 5}, {"nodes": [1]}, {"upstream": 7}, {"tls": 3}, {"nodes": {"": "x"}}):
        for_comparison(UPSTREAMS, nonsense)
        for_comparison(ROUTES, nonsense)
