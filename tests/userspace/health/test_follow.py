"""From configuration messages to upstreams."""

import json
from typing import Any

import pytest

from tests.control.certificates import pair
from userspace.health.follow import Following, is_of_interest

CHECKED = {"nodes": {"10.0.0.1:80": 1}, "checks": {"active": {}}}
NAMED = {"nodes": {"a.example:80": 1}}
PLAIN = {"nodes": {"10.0.0.1:80": 1}}


def message(**objects: Any) -> list[tuple[str, str | None]]:
    """`upstreams_1={...}` is the object at /apisix/upstreams/1."""
    return [
        (f"/apisix/{name.replace('_', '/')}", None if value is None else json.dumps(value))
        for name, value in objects.items()
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CHECKED, True),
        (NAMED, True),
        (PLAIN, False),
        ({"nodes": [{"host": "a.example", "weight": 1}]}, True),
        ({"nodes": [{"host": "10.0.0.1", "port": 80, "weight": 1}]}, False),
        ({"nodes": [{"host": "[::1]", "port": 80, "weight": 1}]}, False),
        ({"nodes": {"[::1]:80": 1}}, False),
        ({"nodes": {}}, False),
        ({"uri": "/", "upstream": NAMED}, True),
        ({"uri": "/", "host": "a.example", "upstream": PLAIN}, False),
        ({"uri": "/", "upstream_id": "1"}, False),
        ({"uri": "/nodes", "upstream": 5, "nodes": 5}, True),
        ({"nodes": {":80": 1}}, True),
    ],
)
def test_only_checks_and_names_are_of_interest(value: Any, expected: bool) -> None:
    assert is_of_interest(json.dumps(value)) is expected


def test_upstreams_are_found_wherever_they_stand() -> None:
    following = Following()
    found = following.whole(
        1,
        message(  # type: ignore[arg-type]
            routes_1={"uri": "/", "upstream": CHECKED},
            services_1={"upstream": NAMED},
            upstreams_1=CHECKED,
            upstreams_2=PLAIN,
            routes_2={"uri": "/", "upstream_id": "1"},
        ),
    )
    assert found == {"routes/1", "services/1", "1"} == following.upstreams.keys()


def test_a_change_names_the_upstreams_it_touches() -> None:
    following = Following()
    following.whole(1, message(upstreams_1=CHECKED, upstreams_2=NAMED))  # type: ignore[arg-type]
    assert following.changes(2, message(upstreams_1=CHECKED)) == frozenset()
    assert following.changes(3, message(upstreams_1={**CHECKED, "retries": 1})) == {"1"}
    assert following.changes(4, message(upstreams_1=PLAIN)) == {"1"}
    assert following.changes(5, message(upstreams_2=None)) == {"2"}
    assert following.upstreams == {}


def test_an_upstream_of_a_route_that_is_switched_off_is_not_checked() -> None:
    following = Following()
    following.changes(1, message(routes_1={"uri": "/", "upstream": CHECKED, "status": 0}))
    assert following.upstreams == {}
    following.changes(2, message(routes_1={"uri": "/", "upstream": CHECKED}))
    assert following.upstreams.keys() == {"routes/1"}


def test_the_last_good_version_of_a_bad_object_stays() -> None:
    following = Following()
    following.changes(1, message(upstreams_1=CHECKED))
    assert following.changes(2, message(upstreams_1={"checks": 5})) == frozenset()
    assert following.upstreams.keys() == {"1"}


def test_a_certificate_that_is_shown_to_endpoints_is_found_and_changes_no_upstream() -> None:
    certificate, key = pair("client.example")
    following = Following()
    shown = {"type": "client", "cert": certificate, "key": key}
    assert following.changes(1, message(ssls_c=shown, ssls_s={"cert": certificate, "key": key, "sni": "a"})) == set()
    found = following.ssl("c")
    assert found is not None and found.is_client and following.ssl("s") is None
    following.changes(2, message(ssls_c=None))
    assert following.ssl("c") is None
