"""What GET /unilb/status says of nodes, made of what they report."""

import asyncio
import json
import time
from typing import Any

from control.admin.progress import MAX_CHANGES, Progress
from control.model.keys import REPORTS
from control.store.base import Delete, Put, Store
from tests.control.admin.conftest import Client

ROUTE = {"uri": "/a", "plugins": {}}
NODE = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1"]}


async def report(store: Store, id: str, revision: int, **more: Any) -> None:
    doc = {"role": "gateway", "revision": revision, "workers": {"0": revision}, "at": time.time(), **more}
    await store.txn([], [Put(REPORTS + id, json.dumps(doc).encode(), ttl=30)])


async def nodes(api: Client) -> dict[str, Any]:
    return {node["id"]: node for node in (await api.get("/unilb/status")).json["nodes"]}


async def change(api: Client) -> int:
    answer = await api.put("routes/1", ROUTE)
    return int(answer.headers["X-Unilb-Revision"])


async def seen(api: Client, id: str, changes: int) -> dict[str, Any]:
    """The node once it is `changes` behind."""
    async with asyncio.timeout(10):
        while (node := (await nodes(api))[id])["lag"]["changes"] != changes:
            await asyncio.sleep(0.01)
    return dict(node)


async def test_a_node_that_serves_the_last_change_is_ok(api: Client, store: Store) -> None:
    revision = await change(api)
    await report(store, "gw1", revision, rejected={"/apisix/routes/2": "bad"}, rejected_count=1, version="0.1")
    node = (await nodes(api))["gw1"]
    assert (node["state"], node["revision"], node["lag"]) == ("ok", revision, {"changes": 0, "seconds": 0.0})
    assert 0 <= node["age_seconds"] < 5
    assert (node["rejected"], node["rejected_count"]) == ({"/apisix/routes/2": "bad"}, 1)


async def test_a_node_with_one_slow_worker_is_behind_by_changes_and_seconds(api: Client, store: Store) -> None:
    first = await change(api)
    # Until the control plane follows the store, nobody is behind.
    await report(store, "probe", 0)
    await change(api)
    async with asyncio.timeout(10):
        while not (await nodes(api))["probe"]["lag"]["changes"]:
            await change(api)
    last = await change(api)
    await report(store, "gw1", last, workers={"0": last, "1": first})
    assert (await nodes(api))["gw1"]["state"] == "behind"
    await report(store, "gw1", last)
    assert (await seen(api, "gw1", 0))["state"] == "ok"
    await change(api)
    await change(api)
    node = await seen(api, "gw1", 2)
    assert node["state"] == "behind" and 0 <= node["lag"]["seconds"] < 5


async def test_a_node_without_a_live_report_is_silent(api: Client, store: Store) -> None:
    await api.must_put("/unilb/nodes/gw1", NODE)
    assert await nodes(api) == {"gw1": {"id": "gw1", "state": "silent", "role": "gateway"}}
    await report(store, "gw1", 10**6)
    assert (await nodes(api))["gw1"]["state"] == "ok"
    await store.txn([], [Delete(REPORTS + "gw1")])
    assert (await nodes(api))["gw1"]["state"] == "silent"


async def test_a_node_that_keeps_what_a_wiped_store_lost_says_so(api: Client, store: Store) -> None:
    await report(store, "gw1", 10**6, held=["/apisix/routes/"])
    assert (await nodes(api))["gw1"]["state"] == "holding"


async def test_a_report_that_is_none_harms_nobody(api: Client, store: Store) -> None:
    for id, raw in (("a", b"no json"), ("b", b"[1]"), ("c", b'{"workers": 3, "revision": "x", "at": "y"}')):
        await store.txn([], [Put(REPORTS + id, raw)])
    assert sorted(await nodes(api)) == ["a", "b", "c"]


def test_the_changes_that_are_remembered_are_bounded() -> None:
    progress = Progress(None, lambda: 1.0)  # type: ignore[arg-type]
    for revision in range(3 * MAX_CHANGES):
        progress.note(revision)
    assert MAX_CHANGES <= progress.behind(0)["changes"] <= 2 * MAX_CHANGES
    assert progress.behind(3 * MAX_CHANGES - 2) == {"changes": 1, "seconds": 0.0}
