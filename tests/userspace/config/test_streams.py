import json
from typing import Any

import pytest

from tests.requests import PEER
from userspace.config.compile_routing import Router
from userspace.config.snapshot import apply

UPSTREAM = {"nodes": {"10.0.0.1:80": 1}}


def router(**routes: dict[str, Any] | None) -> Router:
    made = Router()
    put(made, **routes)
    return made


def put(made: Router, **routes: dict[str, Any] | None) -> None:
    changes: list[tuple[str, bytes | None]] = []
    for id, doc in routes.items():
        stored = None if doc is None else json.dumps({"id": id, "upstream": UPSTREAM, **doc}).encode()
        changes.append((f"/apisix/stream_routes/{id}", stored))
    made.apply(apply(made.snapshot, made.snapshot.revision + 1, changes))


def found(made: Router, name: str = "", **peer: Any) -> str | None:
    stream = made.streams.match(name, PEER._replace(**peer))
    return None if stream is None else stream.route.id


def test_names_come_before_the_others_and_the_others_by_id() -> None:
    made = router(b={}, a={"server_port": 9100}, exact={"sni": "A.example."}, star={"sni": "*.example"})
    assert [found(made, name) for name in ("a.example", "b.example", "x.b.example", "", "other")] == [
        *("exact", "star", "b", "b", "b")
    ]
    assert found(made, server_port=9100) == "a"


@pytest.mark.parametrize(
    ("condition", "peer"),
    [
        ({"remote_addr": "10.1.0.0/16"}, {"address": "10.1.2.3"}),
        ({"remote_addr": "10.1.2.3"}, {"address": "10.1.2.3"}),
        ({"server_addr": "10.9.9.9"}, {"server_address": "10.9.9.9"}),
        ({"server_port": 9200}, {"server_port": 9200}),
        ({"remote_addr": "2001:db8::/32"}, {"address": "2001:db8::7"}),
    ],
)
def test_every_condition_has_to_hold_also_behind_a_name(condition: dict[str, Any], peer: dict[str, Any]) -> None:
    made = router(one=condition, named={"sni": "a.example", **condition})
    assert found(made) is None and found(made, "a.example") is None
    assert found(made, **peer) == "one" and found(made, "a.example", **peer) == "named"


def test_a_name_whose_conditions_do_not_hold_leaves_the_next_its_turn() -> None:
    made = router(one={"sni": "a.example", "server_port": 1}, two={"sni": "a.example"}, star={"sni": "*.example"})
    assert found(made, "a.example") == "two"
    put(made, two=None)
    assert found(made, "a.example") == "star"


def test_names_are_wanted_while_a_route_has_one() -> None:
    made = router(one={})
    assert not made.streams.wants_names
    put(made, named={"sni": "a.example"})
    assert made.streams.wants_names
    put(made, named=None)
    assert not made.streams.wants_names


def test_an_upstream_is_leased_while_a_route_has_it_and_follows_its_changes() -> None:
    made = router(one={"upstream_id": "u1", "upstream": UPSTREAM})
    stream = made.streams.match("", PEER)
    assert stream is not None and stream.slot is not None and stream.slot.compiled.upstream is None
    made.apply(apply(made.snapshot, 2, [("/apisix/upstreams/u1", json.dumps({"id": "u1", **UPSTREAM}).encode())]))
    assert stream.slot.compiled.upstream is not None
    put(made, one={})
    assert "u1" not in made._slots
    put(made, one=None)
    assert not made._slots


def test_what_is_not_served_is_named() -> None:
    for field, value in (("protocol", {"name": "redis"}), ("service_id", "1"), ("plugins", {"limit-conn": {}})):
        made = router(one={field: value})
        assert found(made) is None
        assert made.snapshot.rejected["/apisix/stream_routes/one"]
