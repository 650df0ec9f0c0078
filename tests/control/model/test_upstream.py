"""Upstreams: APISIX's nodes become endpoints."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.upstream import Endpoint, KeepalivePool, Timeout, Upstream, node_entries


@pytest.mark.parametrize(
    ("nodes", "endpoints"),
    [
        ({}, ()),
        ([], ()),
        ({"127.0.0.1:8080": 3}, (Endpoint("127.0.0.1", 8080, 3),)),
        ({"foo.com": 0}, (Endpoint("foo.com", 80, 0),)),
        ({"FOO.com.": 1}, (Endpoint("foo.com.", 80, 1),)),
        ({"[FD00::0001]:90": 1}, (Endpoint("fd00::1", 90, 1),)),
        ({"[::1]": 1}, (Endpoint("::1", 80, 1),)),
        (
            [{"host": "a_b", "weight": 2.0, "port": 81.0, "priority": -1, "metadata": {"x": []}}],
            (Endpoint("a_b", 81, 2, -1),),
        ),
        (
            [{"host": "100.64.0.1", "weight": 1, "metadata": {"vpc_id": 7, "vpc_ip": "192.168.0.10"}}],
            (Endpoint("100.64.0.1", 80, 1, 0, "7", "192.168.0.10"),),
        ),
    ],
)
def test_both_forms_of_nodes_become_endpoints(nodes: Any, endpoints: tuple[Endpoint, ...]) -> None:
    assert Upstream.from_json({"id": "u", "nodes": nodes}).endpoints == endpoints


def test_an_address_may_be_listed_once_in_each_priority() -> None:
    nodes = [{"host": "10.0.0.1", "port": 80, "weight": 1, "priority": priority} for priority in (1, 0, -1)]
    assert [endpoint.priority for endpoint in Upstream.from_json({"nodes": nodes}).endpoints] == [1, 0, -1]


def test_an_address_has_brackets_only_for_ipv6() -> None:
    assert Endpoint("10.0.0.1", 80, 1).address == "10.0.0.1:80"
    assert Endpoint("fd00::1", 80, 1).address == "[fd00::1]:80"


def test_defaults_are_those_of_apisix() -> None:
    assert Upstream.from_json({"id": 5, "nodes": {}}) == Upstream(
        id="5",
        type="roundrobin",
        endpoints=(),
        scheme="http",
        pass_host="pass",
        upstream_host=None,
        retries=None,
        retry_timeout=0,
        timeout=Timeout(60, 60, 60),
        keepalive_pool=KeepalivePool(320, 60, 1000),
        name="",
    )


def test_every_field_is_read() -> None:
    doc = {
        "id": "u",
        "name": "n",
        "desc": "d",
        "labels": {"a": "b"},
        "create_time": 1,
        "update_time": 2,
        "nodes": {},
        "type": "roundrobin",
        "scheme": "http",
        "pass_host": "rewrite",
        "upstream_host": "Foo.com",
        "retries": 2,
        "retry_timeout": 1.5,
        "timeout": {"connect": 0.5, "send": 2, "read": 3},
        "keepalive_pool": {"size": 1, "idle_timeout": 0, "requests": 2},
    }
    assert Upstream.from_json(doc) == Upstream(
        id="u",
        type="roundrobin",
        endpoints=(),
        pass_host="rewrite",
        upstream_host="Foo.com",
        retries=2,
        retry_timeout=1.5,
        timeout=Timeout(0.5, 2, 3),
        keepalive_pool=KeepalivePool(1, 0, 2),
        name="n",
    )


@pytest.mark.parametrize(
    "fields",
    [{"type": "roundrobin"}, {"scheme": "http"}, {"hash_on": "vars"}, {"tls": {"verify": False}}, {"tls": {}}],
)
def test_fields_that_gateways_read_from_the_document_change_nothing_here(fields: dict[str, Any]) -> None:
    assert Upstream.from_json({"nodes": {}, **fields}) == Upstream.from_json({"nodes": {}})


def test_a_given_id_stands_in_where_the_object_has_none() -> None:
    assert Upstream.from_json({"nodes": {}}, "routes/1").id == "routes/1"


@pytest.mark.parametrize("doc", [None, [], "x", {}, {"nodes": {"a:b:c": 1}}, {"nodes": {}, "vpc_id": "blue"}])
def test_what_the_admin_api_would_not_store_is_refused(doc: object) -> None:
    with pytest.raises(ModelError):
        Upstream.from_json(doc)


def test_node_entries_splits_keys_and_leaves_objects() -> None:
    entry = {"host": "h", "weight": 1}
    assert list(node_entries({"nodes": [entry]})) == [entry]
    assert list(node_entries({"nodes": {"h:5": 1}})) == [{"host": "h", "port": 5, "weight": 1}]
