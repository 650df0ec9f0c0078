"""Names as endpoints."""

import pytest

from control.model.upstream import Upstream
from userspace.config.names import is_name, names_of, resolved, service_text


def upstream(nodes: dict[str, int]) -> Upstream:
    return Upstream.from_json({"nodes": nodes}, "u")


def weights(nodes: dict[str, int], addresses: dict[str, tuple[str, ...]]) -> dict[str, int]:
    return {endpoint.address: endpoint.weight for endpoint in resolved(upstream(nodes), addresses).endpoints}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("a.example", True), ("localhost", True), ("10.0.0.1", False), ("::1", False), ("a1.2", True)],
)
def test_what_is_no_address_is_a_name(host: str, expected: bool) -> None:
    assert is_name(host) is expected


def test_the_names_of_an_upstream_are_found() -> None:
    assert names_of(upstream({"a.example:1": 1, "10.0.0.1:1": 1, "a.example:2": 1})) == {"a.example"}


def test_every_address_is_an_endpoint_and_remembers_its_name() -> None:
    found = resolved(upstream({"a.example:80": 1}), {"a.example": ("10.0.0.1", "::1")}).endpoints
    assert [(each.address, each.domain) for each in found] == [
        ("10.0.0.1:80", "a.example"),
        ("[::1]:80", "a.example"),
    ]


@pytest.mark.parametrize(
    ("nodes", "addresses", "expected"),
    [
        ({"a:1": 1, "10.0.0.9:1": 1}, {"a": ("10.0.0.1",)}, {"10.0.0.1:1": 1, "10.0.0.9:1": 1}),
        (
            {"a:1": 1, "10.0.0.9:1": 1},
            {"a": ("10.0.0.1", "10.0.0.2")},
            {"10.0.0.1:1": 1, "10.0.0.2:1": 1, "10.0.0.9:1": 2},
        ),
        (
            {"a:1": 1, "b:1": 2},
            {"a": ("10.0.0.1", "10.0.0.2"), "b": ("10.0.1.1", "10.0.1.2", "10.0.1.3")},
            {"10.0.0.1:1": 3, "10.0.0.2:1": 3, "10.0.1.1:1": 4, "10.0.1.2:1": 4, "10.0.1.3:1": 4},
        ),
        # Drained stays drained.
        ({"a:1": 0, "10.0.0.9:1": 1}, {"a": ("10.0.0.1",)}, {"10.0.0.1:1": 0, "10.0.0.9:1": 1}),
        # Two names of one machine are one endpoint.
        ({"a:1": 1, "b:1": 2}, {"a": ("10.0.0.1",), "b": ("10.0.0.1",)}, {"10.0.0.1:1": 3}),
        # What is not answered yet stays a name; what has no address is left out.
        ({"a:1": 1, "b:1": 1}, {"a": ("10.0.0.1",)}, {"10.0.0.1:1": 1, "b:1": 1}),
        ({"a:1": 1, "b:1": 1}, {"a": ("10.0.0.1",), "b": ()}, {"10.0.0.1:1": 1}),
        ({"a:1": 1}, {"a": ()}, {}),
        # Weights that would not fit count for each address.
        ({"a:1": 2**31 - 1}, {"a": ("10.0.0.1", "10.0.0.2")}, {"10.0.0.1:1": 2**31 - 1, "10.0.0.2:1": 2**31 - 1}),
    ],
)  # fmt: skip
def test_a_name_keeps_its_share(
    nodes: dict[str, int], addresses: dict[str, tuple[str, ...]], expected: dict[str, int]
) -> None:
    assert weights(nodes, addresses) == expected


def test_a_name_that_is_its_own_last_resort_stays_so() -> None:
    nodes = [{"host": "a", "port": 1, "weight": 1, "priority": priority} for priority in (0, -1)]
    found = resolved(Upstream.from_json({"nodes": nodes}, "u"), {"a": ("10.0.0.1",)}).endpoints
    assert [(each.address, each.priority, each.weight) for each in found] == [
        ("10.0.0.1:1", 0, 1),
        ("10.0.0.1:1", -1, 1),
    ]


def test_without_names_nothing_is_copied() -> None:
    plain = upstream({"10.0.0.1:1": 1})
    assert resolved(plain, {"a": ("10.0.0.2",)}) is plain


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_service_has_the_endpoints_that_dns_names(scheme: str, port: int) -> None:
    doc = {"discovery_type": "dns", "service_name": "web.example", "scheme": scheme}
    discovered = Upstream.from_json(doc, "u")
    assert names_of(discovered) == {"dns/web.example"}
    assert resolved(discovered, {}).endpoints == ()
    texts = (service_text("10.0.0.1", 8080, 5, -1), service_text("2001:db8::1", 0, 1, 0))
    found = resolved(discovered, {"dns/web.example": texts}).endpoints
    assert [(each.host, each.port, each.weight, each.priority) for each in found] == [
        ("10.0.0.1", 8080, 5, -1),
        ("2001:db8::1", port, 1, 0),
    ]


def test_another_discovery_has_no_names() -> None:
    assert names_of(Upstream.from_json({"discovery_type": "nacos", "service_name": "web"}, "u")) == frozenset()
