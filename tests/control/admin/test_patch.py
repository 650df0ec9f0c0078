"""PATCH: merging, sub-paths, and the result judged like a PUT."""

from typing import Any

import pytest

from control.admin.patch import merge, replace_at
from control.model.errors import ModelError
from control.store.base import Store
from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"b": None}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {}, {}),
    ],
)
def test_merge(target: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]) -> None:
    before = repr(target)
    assert merge(target, patch) == merged
    assert repr(target) == before


@pytest.mark.parametrize(
    ("path", "value", "result"),
    [
        ("a", 2, {"a": 2, "l": [{"b": 1}, 5]}),
        ("a/", 2, {"a": 2, "l": [{"b": 1}, 5]}),
        ("new/deep/er", 2, {"a": 1, "l": [{"b": 1}, 5], "new": {"deep": {"er": 2}}}),
        ("a", None, {"l": [{"b": 1}, 5]}),
        ("l/0/b", 9, {"a": 1, "l": [{"b": 9}, 5]}),
        ("l/1", 6, {"a": 1, "l": [{"b": 1}, 6]}),
        ("l/2", 6, {"a": 1, "l": [{"b": 1}, 5, 6]}),
        ("l/0", None, {"a": 1, "l": [5]}),
        ("l", [], {"a": 1, "l": []}),
        ("/", {"x": 1}, {"x": 1}),
    ],
)
def test_replace_at(path: str, value: Any, result: Any) -> None:
    target = {"a": 1, "l": [{"b": 1}, 5]}
    assert replace_at(target, path, value) == result
    assert target == {"a": 1, "l": [{"b": 1}, 5]}


@pytest.mark.parametrize("path", ["a/b", "a/b/c", "l/x", "l/3", "l/-1", "l/2/b", "l/1/b", "l/99999999999999999999"])
def test_a_path_through_nothing_is_refused(path: str) -> None:
    with pytest.raises(ModelError, match=f"invalid sub-path: /{path}"):
        replace_at({"a": 1, "l": [{"b": 1}, 5]}, path, 1)


async def test_patch_answers_200_and_stores_the_merge(api: Client) -> None:
    created = await api.must_put("routes/1", {"uri": "/a", "upstream": UPSTREAM, "desc": "x"})
    answer = await api.patch("routes/1", {"upstream": {"nodes": {"127.0.0.2:80": 3}}, "desc": None})
    nodes = {"127.0.0.1:8080": 1, "127.0.0.2:80": 3}
    assert answer.status == 200
    assert answer.value["upstream"] == {**UPSTREAM, "nodes": nodes}
    assert "desc" not in answer.value and answer.value["create_time"] == created["create_time"]
    assert (await api.get("routes/1")).value == answer.value


async def test_patch_at_a_path_takes_any_json(api: Client) -> None:
    await api.must_put("routes/1", {"uri": "/a", "upstream": UPSTREAM})
    assert (await api.patch("routes/1/upstream/nodes", {"127.0.0.3:80": 1})).status == 200
    assert (await api.patch("routes/1/methods", ["GET"])).status == 200
    assert (await api.patch("routes/1/priority", 5)).status == 200
    assert (await api.patch("routes/1/desc", "x")).status == 200
    value = (await api.get("routes/1")).value
    assert value["upstream"]["nodes"] == {"127.0.0.3:80": 1}
    assert (value["methods"], value["priority"], value["desc"]) == (["GET"], 5, "x")


async def test_times_may_be_patched(api: Client) -> None:
    await api.must_put("upstreams/1", UPSTREAM)
    value = (await api.patch("upstreams/1", {"create_time": 5, "update_time": 6})).value
    assert (value["create_time"], value["update_time"]) == (5, 6)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("routes/1", [], "invalid configuration"),
        ("routes/1", 5, "invalid configuration"),
        ("routes/1", {"uri": None}, "allOf 1 failed"),
        ("routes/1", {"id": "2"}, "wrong route id"),
        ("routes/1", {"methods": ["X"]}, 'property "methods" validation failed'),
        ("routes/1", {"upstream_id": "nowhere"}, "failed to fetch upstream info by upstream id [nowhere]"),
        ("routes/1", {"x": 1}, "additional properties forbidden, found x"),
        ("routes/1/uri/x", 1, "invalid sub-path: /uri/x"),
        ("routes/1/status", "on", 'property "status" validation failed'),
        ("routes/1//", "x", "invalid configuration"),
        ("routes/1/create_time", "x", 'property "create_time" validation failed'),
    ],
)
async def test_a_bad_patch_changes_nothing(api: Client, store: Store, path: str, body: object, text: str) -> None:
    await api.must_put("routes/1", {"uri": "/a", "upstream": UPSTREAM})
    before = await store.range("/")
    answer = await api.patch(path, body)
    assert (answer.status, text in answer.error) == (400, True), answer.raw
    assert await store.range("/") == before
