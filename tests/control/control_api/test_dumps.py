"""What is configured."""

import pytest

from control.store.base import Store
from tests.control.control_api.conftest import Ask, put

UPSTREAM = {"nodes": {"127.0.0.1:80": 1}}


async def test_objects_are_shown_with_what_is_in_force(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/services/5", {"id": "5", "upstream": UPSTREAM, "plugins": {"cors": {}}})
    item = (await ask("/v1/service/5")).json
    assert item["key"] == "/apisix/services/5" and item["has_domain"] is False
    assert item["createdIndex"] == item["modifiedIndex"] == item["orig_modifiedIndex"] > 0
    assert item["value"]["upstream"]["nodes"] == [{"host": "127.0.0.1", "port": 80, "weight": 1}]
    assert item["value"]["plugins"]["cors"]["max_age"] == 5
    assert (await ask("/v1/services")).json == [item]


async def test_a_name_among_the_endpoints_is_said(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/upstreams/1", {"id": 1, "nodes": {"a.example:80": 1}})
    assert (await ask("/v1/upstream/1")).json["has_domain"] is True


@pytest.mark.parametrize("kind", ["route", "service", "upstream"])
async def test_what_is_not_there_is_named(ask: Ask, kind: str) -> None:
    answer = await ask(f"/v1/{kind}/9")
    assert (answer.status, answer.error) == (404, f"{kind}[9] not found")
    assert (await ask(f"/v1/{kind}s")).raw == b"[]\n"


async def test_placeholders_are_no_objects(ask: Ask, store: Store) -> None:
    await put(store, "/apisix/routes/", "init_dir")
    assert (await ask("/v1/routes")).json == []


async def test_metadata_is_shown_by_the_priority_of_its_plugin(ask: Ask, store: Store) -> None:
    for name in ("example-plugin", "file-logger"):
        await put(store, f"/apisix/plugin_metadata/{name}", {"id": name})
    assert [doc["id"] for doc in (await ask("/v1/plugin_metadatas")).json] == ["file-logger", "example-plugin"]
    assert (await ask("/v1/plugin_metadata/file-logger")).json == {"id": "file-logger"}
    assert (await ask("/v1/plugin_metadata/cors")).error == "plugin metadata[cors] not found"
