"""What gateways do not serve is rejected by name, never served without it."""

from typing import Any

import orjson
import pytest

from tests.requests import asked
from tests.userspace.config.objects_in_store import plugin_config, route, service, upstream
from userspace.config.compile_routing import Router
from userspace.config.merge import NOT_SERVED
from userspace.config.snapshot import EMPTY, apply

ROUTE = [
    ("script", "local _M = {} return _M"),
    ("script_id", "1"),
]
UPSTREAM = [
    ("type", {"type": "least_time"}),
    ("type", {"type": ""}),
    ("scheme", {"scheme": "grpc"}),
    ("discovery_args", {"discovery_args": {"namespace_id": "n"}}),
]
PLUGINS: list[tuple[dict[str, Any], str]] = [
    ({"hmac-auth": {}}, "plugin [hmac-auth]: not served by unilb"),
    ({"sticky": {}, "hmac-auth": {}}, "plugin [hmac-auth]: not served by unilb"),
    ({"sticky": {"_meta": {"filter": [["arg_a", "==", "b"]]}}}, 'property "_meta.filter": not served by unilb'),
    ({"sticky": {"_meta": {"pre_function": "return 1"}}}, 'property "_meta.pre_function": not served by unilb'),
]
HARMLESS: list[dict[str, Any]] = [
    {"vars": []},
    {"enable_websocket": True},
    {"plugins": {"hmac-auth": {"_meta": {"disable": True}}}},
    {"plugins": {"sticky": {"_meta": {"priority": 5, "disable": False, "error_response": "x"}}}},
]


@pytest.mark.parametrize(("field", "value"), ROUTE)
def test_a_route_that_asks_for_more_is_rejected(field: str, value: Any) -> None:
    key, stored = route("r1", upstream_id="u1", **{field: value})
    snapshot = apply(EMPTY, 1, [(key, stored), upstream()])
    assert dict(snapshot.rejected) == {key: f'property "{field}": not served by unilb'}
    assert {r.upstream_id for r in snapshot.routes.values()} == {NOT_SERVED}


def test_what_a_refused_route_matches_does_not_reach_a_wider_one() -> None:
    """An area behind hmac-auth must not be answered by the open route around it."""
    area = route("area", uri="/admin/*", upstream_id="u1", plugins={"hmac-auth": {}})
    inline = route("inline", uri="/tls", upstream={"type": "roundrobin", "scheme": "grpc", "nodes": {"h:1": 1}})
    router = Router()
    router.apply(apply(EMPTY, 1, [area, inline, route("all", uri="/*", upstream_id="u1"), upstream("u1")]))
    assert [router.match(asked("h", path)).upstream.refusal for path in ("/admin/x", "/tls")] == [503, 503]
    open_route = router.match(asked("h", "/other"))
    assert open_route is not None and open_route.upstream.picker.pick() is not None


def test_a_route_whose_condition_is_not_served_leaves_its_requests_to_others() -> None:
    special = route("special", uri="/x", upstream_id="u1", vars=[["arg_a", "==", "b"]])
    router = Router()
    router.apply(apply(EMPTY, 1, [special, route("all", uri="/*", upstream_id="u1"), upstream("u1")]))
    found = router.match(asked("h", "/x"))
    assert found is not None and found.route.id == "all"


def test_a_refused_route_matches_the_hosts_of_its_service() -> None:
    service = ("/apisix/services/s", b'{"hosts": ["shop.example.com"], "upstream_id": "u1"}')
    area = route("area", uri="/admin", service_id="s", plugins={"hmac-auth": {}})
    router = Router()
    router.apply(apply(EMPTY, 1, [area, service, upstream("u1")]))
    assert router.match(asked("other.example.com", "/admin")) is None
    found = router.match(asked("shop.example.com", "/admin"))
    assert found is not None and found.upstream.refusal == 503


def test_a_consumer_is_known_by_what_is_served_of_what_it_has() -> None:
    keys = {"key-auth": {"key": "k"}, "hmac-auth": {"key_id": "i", "secret_key": "s"}}
    snapshot = apply(EMPTY, 1, [("/apisix/consumers/jack", orjson.dumps({"username": "jack", "plugins": keys}))])
    assert not dict(snapshot.rejected) and set(snapshot.consumers) == {"jack"}
    # What its requests would have to pass besides is another matter.
    more = {**keys, "opa": {"host": "http://a", "policy": "p"}}
    after = apply(snapshot, 2, [("/apisix/consumers/jack", orjson.dumps({"username": "jack", "plugins": more}))])
    assert after.rejected["/apisix/consumers/jack"] == "plugin [opa]: not served by unilb" and not after.consumers


def test_what_was_served_without_it_before_is_served_no_more() -> None:
    before = apply(EMPTY, 1, [route("r1", upstream_id="u1"), upstream("u1")])
    key, stored = route("r1", upstream_id="u1", plugins={"hmac-auth": {}})
    after = apply(before, 2, [(key, stored), upstream("u1", scheme="grpc")])
    assert (after.routes["r1"].upstream_id, dict(after.upstreams)) == (NOT_SERVED, {})
    assert set(after.rejected) == set(after.changed) == {key, "/apisix/upstreams/u1"}
    again = apply(after, 3, [route("r1", upstream_id="u1")])
    assert set(again.routes) == {"r1"} and key not in again.rejected


@pytest.mark.parametrize(("field", "fields"), UPSTREAM)
def test_an_upstream_that_asks_for_more_is_rejected_wherever_it_stands(field: str, fields: dict[str, Any]) -> None:
    inside = {"nodes": {"10.0.0.1:80": 1}, **fields}
    stored = [upstream("u1", **fields), route("r1", upstream=inside), service("s1", upstream=inside)]
    snapshot = apply(EMPTY, 1, stored)
    assert snapshot.rejected["/apisix/upstreams/u1"] == f'property "{field}": not served by unilb'
    for key in ("/apisix/routes/r1", "/apisix/services/s1"):
        assert snapshot.rejected[key] == f'property "upstream": property "{field}": not served by unilb'
    assert len(snapshot.rejected) == 3


def test_only_dns_discovers() -> None:
    key, _ = upstream("u1")

    def rejected(type: bytes) -> str:
        stored = [(key, b'{"discovery_type":"%b","service_name":"a"}' % type)]
        return apply(EMPTY, 1, stored).rejected.get(key, "")

    assert rejected(b"dns") == ""
    assert rejected(b"nacos") == 'property "discovery_type": not served by unilb'


@pytest.mark.parametrize(("plugins", "why"), PLUGINS)
def test_a_plugin_that_does_not_run_here_rejects_what_carries_it(plugins: dict[str, Any], why: str) -> None:
    stored = [route("r1", plugins=plugins), service("s1", plugins=plugins), plugin_config("p1", plugins)]
    rejected = apply(EMPTY, 1, stored).rejected
    assert set(rejected) == {key for key, _ in stored}
    assert all(found.endswith(why) for found in rejected.values()), dict(rejected)


@pytest.mark.parametrize("fields", HARMLESS)
def test_a_value_that_asks_for_nothing_is_served(fields: dict[str, Any]) -> None:
    assert dict(apply(EMPTY, 1, [route("r1", upstream_id="u1", **fields)]).rejected) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "ewma"},
        {"type": "chash", "hash_on": "header", "key": "x"},
        {"tls": {"verify": True}},
        {"scheme": "https"},
    ],
)
def test_an_upstream_that_asks_for_nothing_more_is_served(fields: dict[str, Any]) -> None:
    assert dict(apply(EMPTY, 1, [upstream("u1", **fields)]).rejected) == {}


def test_an_inside_upstream_that_does_not_count_is_not_looked_at() -> None:
    stored = route("r1", upstream_id="u1", upstream={"nodes": {}, "scheme": "grpc"})
    assert dict(apply(EMPTY, 1, [stored]).rejected) == {}


def test_a_regular_expression_that_is_not_served_takes_its_route_away() -> None:
    """It would never match; without the condition the route would be open."""
    key, stored = route("r1", upstream_id="u1", vars=[["arg_a", "~~", "(?=b)"]])
    snapshot = apply(EMPTY, 1, [(key, stored), upstream()])
    assert snapshot.rejected[key].startswith('property "vars": regular expression')
    assert not snapshot.routes


@pytest.mark.parametrize("host", ["a" * 64, ".".join(["a" * 50] * 6)])
def test_a_host_that_no_resolver_takes_is_rejected(host: str) -> None:
    stored = upstream("u1", {f"{host}:80": 1})
    assert "is too long for a domain name" in apply(EMPTY, 1, [stored]).rejected[stored[0]]


def test_a_global_rule_with_a_plugin_that_does_not_run_here_is_named() -> None:
    stored = b'{"id":"1","plugins":{"hmac-auth":{}}}'
    snapshot = apply(EMPTY, 1, [("/apisix/global_rules/1", stored)])
    assert dict(snapshot.rejected) == {"/apisix/global_rules/1": "plugin [hmac-auth]: not served by unilb"}
