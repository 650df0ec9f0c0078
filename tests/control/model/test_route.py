"""Routes."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.route import Route
from control.model.sticky import Sticky
from control.model.upstream import Timeout

UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}


def route(**fields: Any) -> Route:
    return Route.from_json({"id": "1", "uri": "/a", "upstream_id": "u", **fields})


def test_defaults() -> None:
    assert route() == Route(id="1", uris=("/a",), upstream_id="u")
    assert route().enabled and route().methods is None and route().hosts == ()


@pytest.mark.parametrize(
    ("field", "sent", "name", "read"),
    [
        ("host", "Foo.COM", "hosts", ("foo.com",)),
        ("hosts", ["*.B.com", "b.com", "B.com", "*"], "hosts", ("*.b.com", "b.com", "*")),
        ("methods", ["GET", "PUT"], "methods", frozenset({"GET", "PUT"})),
        ("methods", [], "methods", None),
        ("priority", -3, "priority", -3),
        ("priority", 4.0, "priority", 4),
        ("status", 0, "enabled", False),
        ("timeout", {"connect": 1, "send": 2, "read": 3}, "timeout", Timeout(1, 2, 3)),
        ("name", "n", "name", "n"),
        ("upstream_id", 7, "upstream_id", "7"),
        ("plugins", {"sticky": {}}, "sticky", Sticky()),
        ("plugins", {"sticky": {"_meta": {"disable": False}, "ttl": 5}}, "sticky", Sticky(ttl=5)),
        ("plugins", {"sticky": {"_meta": {"disable": True}, "ttl": "bad"}}, "sticky", None),
        ("plugins", {}, "sticky", None),
    ],
)
def test_a_field_is_read(field: str, sent: Any, name: str, read: Any) -> None:
    assert getattr(route(**{field: sent}), name) == read


def test_several_uris_keep_their_order() -> None:
    assert Route.from_json({"uris": ["/b", "/a/*", "*"], "plugins": {}}, "x").uris == ("/b", "/a/*", "*")


def test_an_upstream_inside_has_an_id_that_no_other_upstream_can_have() -> None:
    inside = Route.from_json({"id": 5, "uri": "/a", "upstream": UPSTREAM})
    assert inside.upstream is not None and inside.upstream.id == "routes/5" and inside.upstream_id is None


def test_upstream_id_wins_over_an_upstream_inside_as_in_apisix() -> None:
    both = route(upstream=UPSTREAM)
    assert both.upstream is None and both.upstream_id == "u"


def test_an_upstream_inside_is_checked_even_when_it_does_not_count() -> None:
    with pytest.raises(ModelError, match="invalid port 0"):
        route(upstream={"nodes": {"a:0": 1}})


def test_a_value_that_asks_for_nothing_is_taken() -> None:
    assert route(vars=[]) == route()


def test_whether_websockets_pass_is_the_services_word_when_the_route_has_none() -> None:
    assert [route(**given).enable_websocket for given in ({}, {"enable_websocket": False})] == [None, False]


@pytest.mark.parametrize("doc", [None, 5, [], {}, {"uri": "/a"}, {"uri": "/a", "vpc_id": "b", "plugins": {}}])
def test_what_the_admin_api_would_not_store_is_refused(doc: object) -> None:
    with pytest.raises(ModelError):
        Route.from_json(doc)
