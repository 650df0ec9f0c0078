"""What is checked of an upstream."""

from typing import Any

import pytest

from control.model.upstream import Upstream
from tests.userspace.health.upstreams import target, upstream
from userspace.config.names import resolved
from userspace.health.targets import targets_of


def test_every_endpoint_is_a_target_also_a_drained_one() -> None:
    found = targets_of(upstream({"10.0.0.1:80": 1, "10.0.0.2:81": 0}))
    assert list(found) == [("u", "10.0.0.1", 80), ("u", "10.0.0.2", 81)]
    assert [each.endpoints for each in found.values()] == [("10.0.0.1:80",), ("10.0.0.2:81",)]


def test_without_checks_there_is_none() -> None:
    assert targets_of(Upstream.from_json({"nodes": {"10.0.0.1:80": 1}}, "u")) == {}


def test_a_port_of_the_check_makes_one_target_of_the_endpoints_of_a_host() -> None:
    found = targets_of(upstream({"10.0.0.1:80": 1, "10.0.0.1:81": 1, "10.0.0.2:80": 1}, port=9))
    assert {key: each.endpoints for key, each in found.items()} == {
        ("u", "10.0.0.1", 9): ("10.0.0.1:80", "10.0.0.1:81"),
        ("u", "10.0.0.2", 9): ("10.0.0.2:80",),
    }


def test_names_wait_for_their_addresses() -> None:
    named = upstream({"a.example:80": 1, "10.0.0.9:80": 1})
    assert list(targets_of(named)) == [("u", "10.0.0.9", 80)]
    known = resolved(named, {"a.example": ("10.0.0.1", "10.0.0.2")})
    assert list(targets_of(known)) == [("u", "10.0.0.1", 80), ("u", "10.0.0.2", 80), ("u", "10.0.0.9", 80)]


@pytest.mark.parametrize(
    ("more", "hostname", "server"),
    [
        ({}, "10.0.0.1", "10.0.0.1"),
        ({"host": "h.example"}, "h.example", "h.example"),
    ],
)
def test_the_host_of_the_check_names_the_target(more: dict[str, Any], hostname: str, server: str) -> None:
    found = target("10.0.0.1:80", **more)
    assert (found.hostname, found.server) == (hostname, server)


@pytest.mark.parametrize(
    ("pass_host", "server"),
    [
        ({"pass_host": "pass"}, "h.example"),
        ({"pass_host": "node"}, "a.example"),
        ({"pass_host": "rewrite", "upstream_host": "up.example"}, "up.example"),
    ],
)
def test_probes_ask_for_the_host_that_requests_ask_for(pass_host: dict[str, str], server: str) -> None:
    doc = {"nodes": {"a.example:80": 1}, "checks": {"active": {"host": "h.example"}}, **pass_host}
    known = resolved(Upstream.from_json(doc, "u"), {"a.example": ("10.0.0.1",)})
    (found,) = targets_of(known).values()
    assert (found.hostname, found.server) == ("h.example", server)
