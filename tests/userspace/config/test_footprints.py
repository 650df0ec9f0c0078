"""The property that splices stand on: requests that are equal in what a decision depended on are decided equally."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import PEER, request
from tests.userspace.config.objects_in_store import route, service, upstream
from userspace.config.compile_routing import MAX_WATCHED, Router
from userspace.config.snapshot import EMPTY, apply
from userspace.http.footprint import ALWAYS, COOKIE, EXTRA, PORT, QUERY, USER_AGENT, Footprint
from userspace.http.footprint import PEER as PEERS
from userspace.http.request import Request
from userspace.routing.modes import MODES

CONDITIONS = st.sampled_from(
    [
        ["arg_a", "==", "1"],
        ["arg_a", "~=", "1"],
        ["cookie_c", "==", "1"],
        ["cookie_c", "~~", "^[12]$"],
        ["http_user_agent", "~~", "Bot"],
        ["http_authorization", "==", "1"],
        ["http_x_a", "==", "1"],
        ["http_x_b", "==", "1"],
        ["request_uri", "~~", "[?]a=2"],
        ["remote_user", "==", "u"],
        ["uri", "==", "/a/b"],
        ["host", "==", "a.example"],
        ["remote_addr", "==", "192.0.2.7"],
        ["remote_port", "==", "1"],
        ["post_arg_a", "==", "1"],
    ]
)
ROUTES = st.lists(
    st.fixed_dictionaries(
        {"uri": st.sampled_from(["/a", "/a/b", "/a/*", "/*", "/:x/b"])},
        optional={
            "host": st.sampled_from(["a.example", "*.example", "b.example"]),
            "methods": st.sampled_from([["GET"], ["POST"], ["GET", "PUT"]]),
            "priority": st.integers(0, 2),
            "vars": st.lists(CONDITIONS, min_size=1, max_size=2),
            "remote_addrs": st.sampled_from([["192.0.2.0/24"], ["10.0.0.0/8"]]),
        },
    ),
    min_size=1,
    max_size=8,
)
ATTRIBUTES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST"]),
        "host": st.sampled_from(["a.example", "x.example", "c.test"]),
        "path": st.sampled_from(["/a", "/a/b", "/x"]),
        "query": st.sampled_from(["", "?", "?a=1", "?a=2"]),
        "cookie": st.sampled_from([None, "c=1", "c=2"]),
        "user-agent": st.sampled_from([None, "Bot", "Man"]),
        "authorization": st.sampled_from([None, "1", "Basic dTpw"]),
        "x-a": st.sampled_from([None, "1", "2"]),
        "x-b": st.sampled_from([None, "1", "2"]),
        "port": st.sampled_from([1, 2]),
        "address": st.sampled_from(["192.0.2.7", "10.0.0.7"]),
    }
)
BITS = ["method", "host", "path", "query", "cookie", "user-agent", "authorization"]


def made(given: dict[str, Any]) -> Request:
    fields = [
        f"{name}: {given[name]}" for name in ("cookie", "user-agent", "authorization", "x-a", "x-b") if given[name]
    ]
    peer = PEER._replace(address=given["address"], port=given["port"])
    return request(given["method"], given["path"] + given["query"], *fields, host=given["host"], peer=peer)


def router_of(*routes: dict[str, Any], mode: str = MODES[0], splice: str = "off") -> Router:
    router = Router(mode=mode, splice=splice)
    stored = [route(f"r{number}", **fields) for number, fields in enumerate(routes)]
    router.apply(apply(EMPTY, 1, [*stored, upstream()]))
    return router


def footprint(router: Router, one: Request) -> Footprint | None:
    found = router.match(one)
    assert found is not None
    return router.footprint(one, found)


@given(routes=ROUTES, one=ATTRIBUTES, other=ATTRIBUTES, mode=st.sampled_from(MODES))
def test_what_is_equal_in_the_footprint_is_decided_equally(
    routes: list[dict[str, Any]], one: dict[str, Any], other: dict[str, Any], mode: str
) -> None:
    router = router_of(*routes, mode=mode)
    first = made(one)
    decided = router.match(first)
    watched = router.footprint(first, decided) if decided is not None else None
    if decided is None or watched is None:
        return
    kept = [name for bit, name in enumerate(BITS) if watched.mask & 1 << bit]
    kept += ["port"] if watched.mask & PORT else []
    kept += ["address"] if watched.mask & PEERS else []
    kept += [watched.extra] if watched.mask & EXTRA else []
    assert router.match(made({**other, **{name: one[name] for name in kept}})) is decided


@pytest.mark.parametrize("mode", MODES)
def test_only_what_was_tried_before_the_route_counts(mode: str) -> None:
    router = router_of(
        {"uri": "/a", "priority": 3, "vars": [["arg_a", "==", "1"]]},
        {"uri": "/a", "priority": 2, "vars": [["http_user_agent", "~~", "Bot"]], "methods": ["POST"]},
        {"uri": "/a", "priority": 1},
        {"uri": "/a", "vars": [["cookie_c", "==", "1"]]},
        {"uri": "/b", "filter_func": "function(vars) return vars.uri == '/a' end"},
        {"uri": "/*"},
        mode=mode,
    )
    assert footprint(router, request("GET", "/a")) == Footprint(ALWAYS | QUERY)
    assert footprint(router, request("PUT", "/a?a=1")) == Footprint(ALWAYS | QUERY)
    assert footprint(router, request("POST", "/a")) == Footprint(ALWAYS | QUERY | USER_AGENT)
    assert footprint(router, request("GET", "/c")) == Footprint(ALWAYS)
    assert footprint(router, request("GET", "/b")) is None


def test_a_request_that_many_routes_are_tried_for_is_not_watched() -> None:
    conditional = [{"uri": "/a", "priority": 1, "vars": [["arg_a", "==", str(n)]]} for n in range(MAX_WATCHED + 1)]
    assert footprint(router_of(*conditional[1:-1], {"uri": "/a"}), request("GET", "/a")) == Footprint(ALWAYS | QUERY)
    assert footprint(router_of(*conditional, {"uri": "/a"}), request("GET", "/a")) is None


def test_the_key_of_a_balancer_has_a_footprint() -> None:
    def of(**fields: Any) -> Footprint | None:
        router = Router()
        router.apply(apply(EMPTY, 1, [route("r1"), upstream(**fields)]))
        found = router.match(request())
        assert found is not None
        return found.upstream.footprint

    assert of() == Footprint()
    assert of(type="chash", hash_on="cookie", key="c") == Footprint(COOKIE | PEERS)
    assert of(type="chash", hash_on="header", key="X-A") == Footprint(EXTRA | PEERS, "x-a")
    assert of(type="chash", hash_on="vars_combinations", key="$arg_a$uri-${http_x_a}") == Footprint(
        QUERY | 4 | EXTRA | PEERS, "x-a"
    )
    assert of(type="chash", hash_on="vars", key="mqtt_client_id") is None


def test_a_route_goes_by_its_own_policy_then_its_services_then_the_gateways() -> None:
    router = Router(splice="opaque")
    objects = [
        service("s1", splice="auto"),
        upstream(),
        route("own", "/own", splice="off", service_id="s1", upstream_id="u1"),
        route("served", "/served", service_id="s1", upstream_id="u1"),
        route("silent", "/silent"),
    ]
    for id, policy in (("a", {}), ("b", {"splice": "off"})):
        doc = {"id": id, "sni": f"{id}.example", "upstream_id": "u1", **policy}
        objects.append((f"/apisix/stream_routes/{id}", json.dumps(doc).encode()))
    router.apply(apply(EMPTY, 1, objects))
    found = [router.match(request("GET", path)) for path in ("/own", "/served", "/silent")]
    assert [each.splice for each in found if each is not None] == ["off", "auto", "opaque"]
    streams = [router.streams.match(f"{id}.example", PEER) for id in "ab"]
    assert [stream.is_spliced for stream in streams if stream is not None] == [True, False]
