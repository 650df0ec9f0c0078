"""References: what is referred to exists and stays, whoever writes at the same time."""

import asyncio
import json

from control.store.base import Put, Store
from tests.control.admin.conftest import Client

UPSTREAM = {"nodes": {"127.0.0.1:8080": 1}, "type": "roundrobin"}
NODE = {"role": "gateway", "zone": "a", "address": "10.1.0.11", "laddrs": ["198.18.1.1", "198.18.1.2"]}
VIP = {"address": "10.100.0.10", "port": 80, "targets": [{"node": "gw1", "port": 80}]}


async def test_a_reference_never_outlives_its_object_in_a_race(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for round in range(15):
        await one.must_put("upstreams/u", UPSTREAM)
        refer, delete = await asyncio.gather(
            one.put(f"routes/{round}", {"uri": "/a", "upstream_id": "u"}), two.delete("upstreams/u")
        )
        assert {refer.status, delete.status} in ({201, 400}, {400, 200}), (refer.raw, delete.raw)
        await one.delete(f"routes/{round}")


async def test_guards_of_deleted_objects_are_gone(api: Client, store: Store) -> None:
    await api.must_put("upstreams/1", UPSTREAM)
    await api.must_put("routes/1", {"uri": "/a", "upstream_id": "1"})
    await api.delete("routes/1")
    await api.delete("upstreams/1")
    entries, _ = await store.range("/unilb/uses/")
    assert entries == []


async def test_a_stored_object_of_somebody_else_that_is_broken_holds_nothing_up(api: Client, store: Store) -> None:
    await store.txn(
        [],
        [
            Put("/apisix/routes/x", b'{"upstream_id":"1"'),
            Put("/unilb/nodes/x", json.dumps({"address": "1"}).encode()),
            Put("/unilb/vips/x", b"[]"),
        ],
    )
    await api.must_put("upstreams/1", UPSTREAM)
    assert (await api.delete("upstreams/1")).status == 200
    await api.must_put("/unilb/nodes/gw1", NODE)
    await api.must_put("/unilb/vips/web", VIP)
    assert (await api.put("/unilb/vips/x", {**VIP, "port": 81})).status == 200
