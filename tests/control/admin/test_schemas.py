"""Schemas over HTTP."""

import pytest

from tests.control.admin.conftest import Client


@pytest.mark.parametrize(
    "kind",
    [
        *("route", "service", "upstream", "consumer", "credential", "ssl", "proto", "global_rule", "stream_route"),
        "graphql_cost_decoration",
    ],
)
async def test_every_resource_has_its_schema(api: Client, kind: str) -> None:
    assert (await api.get(f"schema/{kind}")).json["type"] == "object"


async def test_an_unknown_schema_is_named(api: Client) -> None:
    answer = await api.get("schema/x")
    assert (answer.status, answer.raw) == (400, b"not found schema: x")


async def test_an_object_is_checked_against_its_schema_alone(api: Client) -> None:
    good = await api.post("schema/validate/routes", {"uri": "/a", "upstream_id": "nowhere", "plugins": {"x": 1}})
    assert (good.status, good.raw) == (200, b"")
    bad = await api.post("schema/validate/routes", {"uri": 1})
    assert bad.status == 400
    assert bad.error == 'property "uri" validation failed: wrong type: expected string, got number'
    assert (await api.ask("POST", "schema/validate/routes", b"{")).status == 400
    assert (await api.post("schema/validate/x", {})).error == "Unsupported resource type: x"
    assert (await api.get("schema/validate/routes")).status == 404
