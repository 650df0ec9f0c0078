"""A whole configuration, judged and not stored."""

from typing import Any

import pytest

from tests.control.admin.conftest import Client

ROUTE: dict[str, Any] = {"id": "r1", "uri": "/a", "upstream": {"nodes": {"127.0.0.1:80": 1}}}


async def test_a_good_configuration_passes_and_leaves_no_trace(api: Client) -> None:
    answer = await api.post(
        "configs/validate",
        {
            "routes": [ROUTE, {**ROUTE, "id": "r2", "service_id": "nowhere"}],
            "consumers": [{"username": "a"}, {"id": "a/credentials/b", "plugins": {"key-auth": {"key": "k"}}}],
            "plugin_metadata": [{"id": "example-plugin", "skey": "a", "ikey": 1}],
            "routes_conf_version": 3,
        },
    )
    assert (answer.status, answer.json) == (200, {})
    assert (await api.get("routes")).json["total"] == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"routes": [ROUTE, ROUTE]}, {"index": 1, "resource_id": "r1", "error": "found duplicate id r1 in routes"}),
        ({"consumers": [{"username": "a"}] * 2}, {"index": 1, "error": "found duplicate username a in consumers"}),
        ({"routes": [{"id": "r", "uri": 1}]}, {"index": 0, "resource_id": "r"}),
        ({"routes": [1]}, {"index": 0}),
        ({"routes": {}}, {"resource_type": "routes", "error": "routes must be an array"}),
        ({"plugin_metadata": [{"id": "x"}]}, {"error": "invalid plugin name", "resource_type": "plugin_metadata"}),
        ({"upstreams": [{"id": "u", "type": "chash", "nodes": {"h:1": 1}}]}, {"resource_type": "upstreams"}),
    ],
)
async def test_what_is_wrong_is_named_by_place(api: Client, body: Any, error: dict[str, Any]) -> None:
    answer = await api.post("configs/validate", body)
    assert (answer.status, answer.error) == (400, "Configuration validation failed")
    assert len(answer.json["errors"]) == 1
    assert answer.json["errors"][0].items() >= error.items()


async def test_yaml_is_taken_but_no_aliases(api: Client) -> None:
    yaml = {"Content-Type": "application/yaml"}
    good = await api.ask(
        "POST", "configs/validate", b"routes:\n- id: 1\n  uri: /a\n  upstream: {nodes: {}}\n", headers=yaml
    )
    assert good.status == 200
    for bad in (b"a: &a [1]\nroutes: [*a, *a]\n", b"routes: [", b"\xff\xfe\x00", b"routes: 2020-01-01\n"):
        assert (await api.ask("POST", "configs/validate", bad, headers=yaml)).status == 400


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"1"])
async def test_what_is_no_configuration_is_refused(api: Client, body: bytes) -> None:
    assert (await api.ask("POST", "configs/validate", body)).status == 400


async def test_nothing_else_is_below_configs(api: Client) -> None:
    assert (await api.get("configs")).status == 404
