"""The verbs that all resources share: envelopes, ids, times, conflicts."""

import asyncio
import json
import re
import time
from typing import Any

import pytest

from control.model.route import Route
from control.store.base import Compare, Put, Store
from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}
ROUTE = {"uri": "/a", "upstream": UPSTREAM}
GOOD: dict[str, dict[str, Any]] = {
    "routes": ROUTE,
    "upstreams": UPSTREAM,
    "services": {"upstream": UPSTREAM},
    "plugin_configs": {"plugins": {}},
    "consumer_groups": {"plugins": {}},
    "/unilb/vpcs": {"vni": 7, "cidr": "192.168.0.0/24"},
    "/unilb/vips": {"address": "10.100.0.10", "port": 80, "targets": []},
    "/unilb/nodes": {"role": "l4", "zone": "a", "address": "10.0.0.10"},
}
BAD_ID = 'invalid configuration: property "id" validation failed: object matches none of the required'
each_collection = pytest.mark.parametrize("collection", list(GOOD))


def full(collection: str) -> str:
    return collection if collection.startswith("/unilb") else f"/apisix/{collection}"


@each_collection
async def test_the_life_of_an_object(api: Client, store: Store, collection: str) -> None:
    path, body, key = f"{collection}/1", GOOD[collection], f"{full(collection)}/1"
    before = int(time.time())
    created = await api.put(path, body)
    assert created.status == 201
    assert created.json == {"key": key, "value": {**body, **stamps(created.value), "id": "1"}}
    assert before <= created.value["create_time"] == created.value["update_time"] <= before + 5
    assert created.raw.endswith(b"}\n")

    entry = await store.get(key)
    assert entry is not None and json.loads(entry.value) == created.value
    assert created.headers["X-Unilb-Revision"] == str(entry.mod_revision)
    got = await api.get(path)
    indexes = {"createdIndex": entry.create_revision, "modifiedIndex": entry.mod_revision}
    assert (got.status, got.json) == (200, {**created.json, **indexes})
    assert (await api.get(collection)).json == {"list": [got.json], "total": 1}

    replaced = await api.put(path, {**body, "desc": "again"})
    assert replaced.status == 200 and replaced.value["create_time"] == created.value["create_time"]

    deleted = await api.delete(path)
    assert (deleted.status, deleted.json) == (200, {"key": key, "deleted": "1"})
    assert await store.get(key) is None
    for method in ("GET", "DELETE", "PATCH"):
        missing = await api.ask(method, path, {} if method == "PATCH" else None)
        assert (missing.status, missing.raw) == (404, b'{"message":"Key not found"}\n')
    assert (await api.get(collection)).json == {"list": [], "total": 0}


def stamps(value: dict[str, Any]) -> dict[str, Any]:
    return {name: value[name] for name in ("create_time", "update_time")}


async def test_what_is_stored_is_what_was_sent_without_defaults(api: Client, store: Store) -> None:
    sent = {
        "uris": ["/a/*", "/b"],
        "hosts": ["*.Foo.com"],
        "labels": {"k": "v"},
        "upstream": {"nodes": [{"host": "h", "port": 80, "weight": 1, "metadata": {"a": [None, 1.5]}}]},
        "plugins": {"sticky": {}},
        "timeout": {"connect": 1, "send": 0.5, "read": 1},
    }
    value = await api.must_put("routes/r-1.x_", sent)
    assert value == {**sent, **stamps(value), "id": "r-1.x_"}
    entry = await store.get("/apisix/routes/r-1.x_")
    assert entry is not None
    assert Route.from_json(json.loads(entry.value)).id == "r-1.x_"


async def test_what_get_shows_can_be_put_back(api: Client) -> None:
    for collection, body in GOOD.items():
        await api.must_put(f"{collection}/1", body)
        shown = (await api.get(f"{collection}/1")).value
        again = await api.must_put(f"{collection}/1", shown)
        assert {**again, "update_time": 0} == {**shown, "update_time": 0}


async def test_update_time_moves_and_create_time_stays(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await api.must_put("upstreams/1", UPSTREAM)
    later = first["create_time"] + 100
    monkeypatch.setattr("control.admin.resource.time.time", lambda: later + 0.9)
    second = await api.must_put("upstreams/1", UPSTREAM)
    assert stamps(second) == {"create_time": first["create_time"], "update_time": later}
    patched = (await api.patch("upstreams/1", {"desc": "x"})).value
    assert stamps(patched) == {"create_time": first["create_time"], "update_time": later}


async def test_post_makes_ids_of_twenty_digits_that_grow(api: Client) -> None:
    answers = [await api.post("routes", ROUTE) for _ in range(3)]
    ids = [answer.value["id"] for answer in answers]
    assert [answer.status for answer in answers] == [201] * 3
    assert all(re.fullmatch("[0-9]{20}", id) for id in ids) and ids == sorted(set(ids))
    assert (await api.get(f"routes/{ids[0]}")).status == 200


async def test_post_never_replaces_what_a_restored_store_has_under_the_next_ids(api: Client, store: Store) -> None:
    first = int((await api.post("routes", ROUTE)).value["id"])
    # As after a restore into a new store: objects under ids that its revisions have yet to reach.
    taken = [f"{id:020}" for id in range(first + 1, first + 9)]
    compared: list[Compare] = []
    values = {id: await api.must_put(f"routes/{id}", {**ROUTE, "desc": id}) for id in taken[4:]}
    entry = await store.get(f"/apisix/routes/{taken[-1]}")
    assert entry is not None and entry.mod_revision < int(taken[-1])
    real = store.txn

    async def note(compares: Any, ops: Any) -> Any:
        compared.extend(compares)
        return await real(compares, ops)

    store.txn = note  # type: ignore[method-assign]
    made = [await api.post("routes", ROUTE) for _ in range(4)]
    ids = [answer.value["id"] for answer in made]
    assert [answer.status for answer in made] == [201] * 4 and ids == sorted(set(ids)) and not set(ids) & set(values)
    assert {f"/apisix/routes/{id}" for id in ids} <= {compare.key for compare in compared if not compare.mod_revision}
    for id, value in values.items():
        assert (await api.get(f"routes/{id}")).value == value


async def test_post_takes_the_next_id_when_another_writer_took_the_first(api: Client, store: Store) -> None:
    real = store.txn
    lost: list[str] = []

    async def race(compares: Any, ops: Any) -> Any:
        created = [op for op in ops if isinstance(op, Put) and op.key.startswith("/apisix/routes/")]
        if created and not lost:
            lost.append(created[0].key)
            await real([], [Put(created[0].key, b'{"uri":"/theirs"}')])
        return await real(compares, ops)

    store.txn = race  # type: ignore[method-assign]
    made = await api.post("routes", ROUTE)
    assert made.status == 201 and lost and made.json["key"] > lost[0]
    assert (await api.get(lost[0].removeprefix("/apisix/"))).value == {"uri": "/theirs"}


async def test_post_gives_up_when_every_id_is_taken(api: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.admin.resource.MAX_IDS", 3)
    await api.must_put("routes/1", ROUTE)
    entry = await store.get("/apisix/routes/1")
    real = store.get

    async def taken(key: str) -> Any:
        return entry if key.startswith("/apisix/routes/") else await real(key)

    monkeypatch.setattr(store, "get", taken)
    answer = await api.post("routes", ROUTE)
    assert (answer.status, answer.error) == (503, "value changed before overwritten")


async def test_an_id_may_stand_in_the_body(api: Client) -> None:
    answer = await api.put("routes", {**ROUTE, "id": 7})
    assert (answer.status, answer.json["key"], answer.value["id"]) == (201, "/apisix/routes/7", 7)
    assert (await api.put("routes/7", {**ROUTE, "id": 7})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("PUT", "routes/1", {**ROUTE, "id": 2}, "wrong route id"),
        ("PUT", "routes/1", {**ROUTE, "id": {}}, "wrong route id"),
        ("PUT", "routes", ROUTE, "missing route id"),
        ("PUT", "upstreams", UPSTREAM, "missing upstream id"),
        ("PUT", "routes", {**ROUTE, "id": -100}, BAD_ID),
        ("PUT", "routes/a%20b", ROUTE, BAD_ID),
        ("PUT", "routes/" + "x" * 65, ROUTE, BAD_ID),
        ("POST", "routes", {**ROUTE, "id": 1}, "wrong route id, do not need it"),
        ("POST", "routes/1", ROUTE, "wrong route id, do not need it"),
        ("DELETE", "routes", None, "missing route id"),
        ("PATCH", "routes", {}, "missing route id"),
        ("PATCH", "routes/1", None, "missing new configuration"),
        ("POST", "routes", None, "missing configurations"),
        ("PUT", "/unilb/vpcs", {"vni": 1, "cidr": "10.0.0.0/8"}, "missing vpc id"),
        ("PUT", "routes/1?ttl=xxx", ROUTE, "invalid argument ttl: should be a number"),
        ("PUT", "routes/1?ttl=0", ROUTE, "invalid argument ttl: should be 1 to 315360000"),
        ("POST", "routes?ttl=1e9", ROUTE, "invalid argument ttl: should be a number"),
        ("PATCH", "routes/1?ttl=-5", {}, "invalid argument ttl: should be 1 to 315360000"),
        ("GET", "routes/1?ttl=", None, "invalid argument ttl: should be a number"),
    ],
)
async def test_id_and_body_rules(api: Client, store: Store, method: str, path: str, body: object, text: str) -> None:
    before = await store.range("/")
    answer = await api.ask(method, path, body)
    assert (answer.status, answer.json) == (400, {"error_msg": text})
    assert await store.range("/") == before


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_an_object_with_a_ttl_goes_by_itself(api: Client, store: Store, method: str) -> None:
    if method == "PATCH":
        await api.must_put("routes/1", ROUTE)
    path = "routes" if method == "POST" else "routes/1"
    key = (await api.ask(method, f"{path}?ttl=0.5", ROUTE)).json["key"]
    assert await store.get(key) is not None
    async with asyncio.timeout(15):
        while await store.get(key) is not None:
            await asyncio.sleep(0.1)
    assert (await api.get(key.removeprefix("/apisix/"))).status == 404


async def test_a_put_without_a_ttl_keeps_what_had_one(api: Client, store: Store) -> None:
    puts: list[Put] = []
    real = store.txn

    async def note(compares: Any, ops: Any) -> Any:
        puts.extend(op for op in ops if isinstance(op, Put) and op.key == "/apisix/routes/1")
        return await real(compares, ops)

    store.txn = note  # type: ignore[method-assign]
    await api.ask("PUT", "routes/1?ttl=900.2", ROUTE)
    await api.put("routes/1", ROUTE)
    assert [put.ttl for put in puts] == [901, None]


async def test_a_write_that_never_gets_through_says_so(
    api: Client, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    await api.must_put("routes/1", ROUTE)
    real = store.txn

    async def lose(compares: Any, ops: Any) -> Any:
        result = await real([], [])
        return type(result)(False, result.revision)

    monkeypatch.setattr("control.admin.resource.BACKOFF", 0.0)
    monkeypatch.setattr(store, "txn", lose)
    for method, body in (("PUT", ROUTE), ("PATCH", {"desc": "x"}), ("DELETE", None)):
        answer = await api.ask(method, "routes/1", body)
        assert (answer.status, answer.error) == (503, "value changed before overwritten")


async def test_concurrent_patches_of_one_object_all_count(api: Client) -> None:
    await api.must_put("routes/1", ROUTE)
    answers = await asyncio.gather(*(api.patch("routes/1", {"labels": {f"l{n}": "x"}}) for n in range(8)))
    done = {f"l{n}" for n, answer in enumerate(answers) if answer.status == 200}
    assert done and {answer.status for answer in answers} <= {200, 503}
    assert set((await api.get("routes/1")).value["labels"]) == done
