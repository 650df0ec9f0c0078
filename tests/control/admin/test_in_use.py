"""What something else refers to stays; `force=true` takes it away."""

from typing import Any

import pytest

from control.store.base import Store
from tests.control.admin.conftest import Client
from tests.control.certificates import pair

UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}
PROTO = {"content": 'syntax = "proto3"; package p; message A { string a = 1; } service S { rpc R (A) returns (A) {} }'}
SPLIT = {"traffic-split": {"rules": [{"weighted_upstreams": [{"upstream_id": "u", "weight": 1}]}]}}
GRPC = {"grpc-transcode": {"proto_id": "p", "service": "p.S", "method": "R"}}
REDIS = {"upstream": UPSTREAM, "protocol": {"name": "redis"}}


@pytest.mark.parametrize(
    ("path", "doc", "user", "referring", "refusal"),
    [
        ("upstreams/u", UPSTREAM, "routes/1", {"uri": "/a", "upstream_id": "u"}, "this upstream, route [1]"),
        ("upstreams/u", UPSTREAM, "services/1", {"upstream_id": "u"}, "this upstream, service [1]"),
        ("upstreams/u", UPSTREAM, "stream_routes/1", {"upstream_id": "u"}, "this upstream, stream_route [1]"),
        ("upstreams/u", UPSTREAM, "routes/1", {"uri": "/a", "plugins": SPLIT}, "this upstream, plugin in route [1]"),
        ("upstreams/u", UPSTREAM, "services/1", {"plugins": SPLIT}, "this upstream, plugin in service [1]"),
        ("upstreams/u", UPSTREAM, "plugin_configs/1", {"plugins": SPLIT}, "upstream, plugin in plugin_config [1]"),
        ("upstreams/u", UPSTREAM, "global_rules/1", {"plugins": SPLIT}, "this upstream, plugin in global_rules [1]"),
        ("upstreams/u", UPSTREAM, "consumer_groups/1", {"plugins": SPLIT}, "upstream, plugin in consumer_group [1]"),
        ("upstreams/u", UPSTREAM, "consumers/c", {"username": "c", "plugins": SPLIT}, "plugin in consumer [c]"),
        ("services/s", {}, "routes/1", {"uri": "/a", "service_id": "s"}, "this service directly, route [1]"),
        ("services/s", {}, "stream_routes/1", {"service_id": "s"}, "this service directly, stream_route [1]"),
        (
            "plugin_configs/p",
            {"plugins": {}},
            "routes/1",
            {"uri": "/a", "upstream": UPSTREAM, "plugin_config_id": "p"},
            "this plugin config, route [1]",
        ),
        (
            "consumer_groups/g",
            {"plugins": {}},
            "consumers/c",
            {"username": "c", "group_id": "g"},
            "this consumer group, consumer [c]",
        ),
        ("protos/p", PROTO, "routes/1", {"uri": "/a", "upstream": UPSTREAM, "plugins": GRPC}, "this proto, route [1]"),
        ("protos/p", PROTO, "services/1", {"plugins": GRPC}, "this proto, service [1]"),
        (
            "stream_routes/s",
            REDIS,
            "stream_routes/t",
            {"upstream": UPSTREAM, "protocol": {"name": "redis", "superior_id": "s"}},
            "this stream route directly, stream route [t] is still using it as superior_id",
        ),
    ],
)
async def test_it_stays(
    api: Client, store: Store, path: str, doc: dict[str, Any], user: str, referring: dict[str, Any], refusal: str
) -> None:
    await api.must_put(path, doc)
    await api.must_put(user, referring)
    for query in ("", "?force=anyvalue"):
        answer = await api.delete(path + query)
        assert answer.status == 400
        assert (
            answer.error.startswith("can not delete ") and refusal in answer.error and "still using it" in answer.error
        )
    assert (await api.delete(f"{path}?force=true")).json == {"key": f"/apisix/{path}", "deleted": "1"}
    await api.must_put(path, doc)
    await api.delete(user)
    assert (await api.delete(path)).status == 200


async def test_ids_are_compared_as_text(api: Client) -> None:
    await api.must_put("services/7", {})
    await api.must_put("routes/1", {"uri": "/a", "service_id": 7})
    assert (await api.get("routes/1")).value["service_id"] == 7
    assert (await api.delete("services/7")).status == 400


async def test_a_subordinate_has_the_protocol_of_its_superior(api: Client) -> None:
    await api.must_put("stream_routes/s", REDIS)
    answer = await api.put("stream_routes/t", {"protocol": {"name": "dubbo", "superior_id": "s"}})
    says = "protocol mismatch: subordinate protocol [dubbo] does not match superior protocol [redis]"
    assert (answer.status, answer.error) == (400, says)


async def test_the_certificate_of_an_upstream_is_a_clients(api: Client) -> None:
    cert, key = pair("a.example")
    await api.must_put("ssls/server", {"cert": cert, "key": key, "sni": "a.example"})
    await api.must_put("ssls/client", {"cert": cert, "key": key, "type": "client"})
    wrong = await api.put("upstreams/u", {**UPSTREAM, "tls": {"client_cert_id": "server"}})
    assert (wrong.status, wrong.error) == (400, "failed to fetch ssl info by ssl id [server], wrong ssl type")
    await api.must_put("upstreams/u", {**UPSTREAM, "tls": {"client_cert_id": "client"}})
    inside = {"uri": "/a", "upstream": {**UPSTREAM, "tls": {"client_cert": cert, "client_key": key}}}
    await api.must_put("routes/1", inside)
