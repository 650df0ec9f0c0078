"""Routes with services and plugin configs: what counts of whom."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.requests import asked
from tests.userspace.config.objects_in_store import Stored, plugin_config, route, service, sticky_keys, upstream
from tests.userspace.config.test_compile_routing import calls, change, match, picked, router_of
from userspace.config.compile_routing import Router

OWN = {"type": "roundrobin", "nodes": {"10.0.0.5:80": 1}}
OTHER = {"type": "roundrobin", "nodes": {"10.0.0.6:80": 1}}


def cookie(name: str, **more: Any) -> dict[str, Any]:
    return {"sticky": {"cookie": name, **more}}


def served(*objects: Stored) -> Router:
    return router_of(upstream("u1", {"10.0.0.1:80": 1}), upstream("u2", {"10.0.0.2:80": 1}), sticky_keys(1), *objects)


@pytest.mark.parametrize(
    ("of_route", "of_service", "address"),
    [
        ({}, {"upstream_id": "u1"}, "10.0.0.1:80"),
        ({}, {"upstream": OWN}, "10.0.0.5:80"),
        ({"upstream_id": "u2"}, {"upstream_id": "u1"}, "10.0.0.2:80"),
        ({"upstream_id": "u2"}, {"upstream": OWN}, "10.0.0.2:80"),
        ({"upstream": OTHER}, {"upstream_id": "u1"}, "10.0.0.6:80"),
        ({"upstream": OTHER}, {"upstream": OWN}, "10.0.0.6:80"),
        ({}, {"upstream_id": "u1", "upstream": OWN}, "10.0.0.1:80"),
        ({}, {}, None),
    ],
)
def test_the_routes_upstream_outranks_the_services(
    of_route: dict[str, Any], of_service: dict[str, Any], address: str | None
) -> None:
    router = served(route("r1", service_id="s1", plugins={}, **of_route), service("s1", **of_service))
    assert picked(router) == address


@pytest.mark.parametrize(
    ("of_route", "of_config", "of_service", "name"),
    [
        (None, None, cookie("service"), "service"),
        (None, cookie("config"), cookie("service"), "config"),
        (cookie("route"), cookie("config"), cookie("service"), "route"),
        (None, {}, cookie("service"), "service"),
        (cookie("route", _meta={"disable": True}), cookie("config"), cookie("service"), None),
        (None, None, {}, None),
    ],
)
def test_of_a_plugin_the_nearest_configuration_counts_whole(
    of_route: Any, of_config: Any, of_service: Any, name: str | None
) -> None:
    fields = {"plugins": of_route} if of_route is not None else {}
    if of_config is not None:
        fields["plugin_config_id"] = "p1"
    router = served(
        route("r1", service_id="s1", upstream_id="u1", **fields),
        service("s1", plugins=of_service),
        plugin_config("p1", of_config or {}),
    )
    sticky = match(router).route.sticky
    assert (sticky.cookie if sticky is not None else None) == name


def test_the_hosts_of_the_service_count_for_routes_without() -> None:
    router = served(
        route("r1", "/a", service_id="s1"),
        route("r2", "/b", service_id="s1", host="own.example"),
        service("s1", upstream_id="u1", hosts=["Shared.example"]),
    )

    def found(host: str, path: str) -> bool:
        return router.match(asked(host, path)) is not None

    assert found("shared.example", "/a") and not found("any.example", "/a")
    assert found("own.example", "/b") and not found("shared.example", "/b")
    change(router, service("s1", upstream_id="u1"))
    assert found("any.example", "/a")


def test_a_missing_service_is_answered_404_and_a_missing_plugin_config_503() -> None:
    router = served(
        route("r1", "/a", service_id="s1", upstream_id="u1"),
        route("r2", "/b", plugin_config_id="p1", upstream_id="u1"),
        route("r3", "/c", plugin_config_id="p1", service_id="s1"),
    )
    refused = [match(router, path).upstream for path in ("/a", "/b", "/c")]
    assert [(found.picker.pick(), found.refusal) for found in refused] == [(None, 404), (None, 503), (None, 503)]
    change(router, service("s1"), plugin_config("p1", {}))
    assert (picked(router, "/a"), picked(router, "/b"), match(router, "/c").upstream.refusal) == (
        "10.0.0.1:80",
        "10.0.0.1:80",
        503,
    )
    change(router, ("/apisix/services/s1", None), ("/apisix/plugin_configs/p1", None))
    assert [match(router, path).upstream.refusal for path in ("/a", "/b")] == [404, 503]


def test_a_changed_service_reaches_its_routes_and_no_others() -> None:
    router = served(
        route("r1", "/a", service_id="s1"),
        route("r2", "/b", service_id="s2"),
        service("s1", upstream_id="u1"),
        service("s2", upstream_id="u1"),
    )
    others = match(router, "/b")
    change(router, service("s1", upstream_id="u2", plugins=cookie("new")))
    assert (picked(router, "/a"), match(router, "/b")) == ("10.0.0.2:80", others)
    sticky = match(router, "/a").route.sticky
    assert sticky is not None and sticky.cookie == "new"


def test_a_services_changed_upstream_is_put_in_place_once() -> None:
    router = served(route("r1", "/a", service_id="s1"), service("s1", upstream=OWN))
    before = match(router, "/a")
    change(router, service("s1", upstream=OTHER))
    assert match(router, "/a") is before
    assert picked(router, "/a") == "10.0.0.6:80"


def test_a_route_may_leave_its_service_while_that_changes() -> None:
    router = served(route("r1", "/a", service_id="s1"), service("s1", upstream=OWN))
    change(router, service("s1", upstream=OTHER), route("r1", "/a", upstream_id="u2"))
    assert picked(router, "/a") == "10.0.0.2:80"
    change(router, ("/apisix/services/s1", None), ("/apisix/routes/r1", None))
    assert (list(router.table), router._routes, router._slots, len(router._dependents)) == ([], {}, {}, 0)


def test_a_disabled_route_stays_away_when_its_service_changes() -> None:
    router = served(route("r1", "/a", service_id="s1", status=0), service("s1", upstream=OWN))
    change(router, service("s1", upstream_id="u1"))
    assert router.match(asked("any.example", "/a")) is None


def test_a_service_that_asks_for_what_is_not_served_takes_its_routes_out_of_service() -> None:
    router = served(route("r1", "/a", service_id="s1"), service("s1", upstream=OWN))
    change(router, service("s1", upstream=OWN, plugins={"hmac-auth": {}}))
    assert (picked(router, "/a"), match(router, "/a").upstream.refusal) == (None, 404)
    assert list(router.snapshot.rejected) == ["/apisix/services/s1"]
    change(router, service("s1", upstream=OWN))
    assert (picked(router, "/a"), dict(router.snapshot.rejected)) == ("10.0.0.5:80", {})


def test_a_bad_service_leaves_its_last_good_version() -> None:
    router = served(route("r1", "/a", service_id="s1"), service("s1", upstream=OWN))
    change(router, service("s1", hosts=5))
    assert picked(router, "/a") == "10.0.0.5:80"


def test_one_changed_service_costs_the_same_among_10_and_2_000() -> None:
    def cost(size: int, changed: Iterable[Stored]) -> int:
        stored = [route(f"r{n}", f"/{n:04d}/*", service_id=f"s{n}") for n in range(size)]
        router = served(*stored, *(service(f"s{n}", upstream_id="u1") for n in range(size)))
        return calls(lambda: change(router, *changed))

    for changed in ([service("s5", upstream_id="u2")], [service("s5", upstream=OWN)], [plugin_config("p1", {})]):
        # The routing table is three levels deeper, which a route leaves and enters again.
        assert cost(2000, changed) <= cost(10, changed) + 80, changed
