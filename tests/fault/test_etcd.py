"""etcd killed, frozen, compacted, wiped, restored: gateways serve on, say so, and converge; no update is lost.

Every test has a client that asks for one route all the time; the fixture fails if a single answer is not a 200.
"""

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import pytest

from control.store.open import open_store
from tests.control.admin.conftest import Client, running
from tests.control.conftest import EtcdServer
from tests.fault.conftest import Site

pytestmark = [pytest.mark.etcd, pytest.mark.alone]

# Seconds from the store's return to convergence: 1, and the longest pause between two tries to reach it, 1.
CONVERGED = 2.0
FROZEN = 15.0
PATCHES = 1000


async def test_etcd_killed_and_restarted(site: Site) -> None:
    await site.put("before")
    site.etcd.kill()
    health = await site.healthy_when(lambda found: bool(found["store_error"]))
    assert health["ready"] and health["store_age_seconds"] > 3
    assert await site.status("before") == 200
    await site.back()
    await site.put("after")
    assert await site.in_force("after") < CONVERGED
    assert await site.status("before") == 200
    assert (await site.health())["store_error"] == ""


async def test_no_answered_write_is_lost_when_etcd_is_killed_again_and_again(site: Site) -> None:
    """A write that was answered with an error may have been carried out; one that was answered with success was."""
    answered: list[str] = []

    async def write(writer: int) -> None:
        for number in range(10**6):
            name = f"w{writer}-{number}"
            answer = await site.api.put(f"routes/{name}", site.route(f"/{name}"))
            assert answer.status in (201, 503), answer.raw
            if answer.status == 201:
                answered.append(name)

    writers = [asyncio.create_task(write(number)) for number in range(3)]
    for _ in range(4):
        before = len(answered)
        async with asyncio.timeout(30):
            while len(answered) < before + 20:
                await asyncio.sleep(0.01)
        site.etcd.kill()
        await asyncio.sleep(0.3)
        await site.back()
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await site.put("last")
    await site.in_force("last")
    assert len(answered) >= 80
    assert [name for name in answered if await site.status(name) != 200] == []


async def test_etcd_compacted_while_the_gateway_is_away(site: Site, tmp_path: Path) -> None:
    await site.put("gone")
    await site.in_force("gone")
    site.etcd.kill()

    async def act(client: Client) -> None:
        assert (await client.put("routes/new", site.route("/new"))).status == 201
        assert (await client.delete("routes/gone")).status == 200
        answer = await client.put("routes/newer", site.route("/newer"))
        revision = int(answer.headers["X-Unilb-Revision"])
        await asyncio.to_thread(site.etcd.call, "/v3/kv/compaction", revision=str(revision))

    await site.elsewhere(act, tmp_path)
    await site.back()
    assert await site.in_force("newer") < CONVERGED
    assert [await site.status(name) for name in ("new", "gone")] == [200, 404]
    assert site.daemon.source.lists == 2


async def test_etcd_frozen_for_a_quarter_of_a_minute(site: Site) -> None:
    """Stands for a partition too: connections stay open, nothing comes back on them."""
    site.etcd.freeze()
    await asyncio.sleep(FROZEN)
    health = await site.health()
    assert health["ready"] and health["store_age_seconds"] > FROZEN - 1 and health["store_error"]
    site.etcd.thaw()
    await site.put("after")
    assert await site.in_force("after") < CONVERGED


async def test_etcd_wiped_takes_no_route_away_until_it_has_one_again(site: Site) -> None:
    for name in ("one", "two"):
        await site.put(name)
    await site.in_force("two")
    site.etcd.kill()
    site.wipe()
    await site.back()
    health = await site.healthy_when(lambda found: bool(found["held"]))
    assert health["held"] == ["/apisix/routes/", "/unilb/keys/"] and health["store_error"] == ""
    assert [await site.status(name) for name in ("one", "two")] == [200, 200]
    await site.put("kept")
    assert await site.in_force("one", 404) < CONVERGED
    assert await site.status("two") == 404
    assert "/apisix/routes/" not in (await site.health())["held"]


@pytest.mark.parametrize("overtaken", [False, True], ids=["at a lower revision", "and written to until it is higher"])
async def test_etcd_restored_from_a_backup(site: Site, tmp_path: Path, overtaken: bool) -> None:
    await site.put("backed-up")
    site.etcd.kill()
    backup = site.copy("backup")
    await site.back()
    await site.put("lost")
    await site.in_force("lost")
    site.etcd.kill()
    site.wipe(backup)
    if overtaken:

        async def act(client: Client) -> None:
            for number in range(5):
                assert (await client.put(f"routes/new-{number}", site.route(f"/new-{number}"))).status == 201

        await site.elsewhere(act, tmp_path)
    await site.back()
    assert await site.in_force("lost", 404) < CONVERGED
    assert await site.status("backed-up") == 200
    if overtaken:
        assert [await site.status(f"new-{number}") for number in range(5)] == [200] * 5
    await site.put("after")
    assert await site.in_force("after") < CONVERGED


async def test_a_thousand_concurrent_patches_through_two_control_nodes_add_up(
    shared_etcd: EtcdServer, tmp_path: Path
) -> None:
    """Each adds a label of its own: those answered with success are there, those answered with a conflict are not."""
    stores = [open_store(shared_etcd.url) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(running(store, tmp_path / f"audit-{number}.log"))
            for number, store in enumerate(stores)
        ]
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=PATCHES)))
            for _ in clients
        ]
        clients = [Client(client.url, session) for client, session in zip(clients, sessions, strict=True)]
        await clients[0].must_put("routes/1", {"uri": "/a", "plugins": {}, "labels": {"first": "1"}})

        async def patch(number: int) -> int:
            answer = await clients[number % 2].patch("routes/1", {"labels": {f"p{number}": "1"}})
            assert answer.status in (200, 503), answer.raw
            if answer.status == 503:
                assert answer.error == "value changed before overwritten"
            return answer.status

        statuses = await asyncio.gather(*(patch(number) for number in range(PATCHES)))
        labels = set((await clients[0].get("routes/1")).value["labels"]) - {"first"}
    applied = {f"p{number}" for number, status in enumerate(statuses) if status == 200}
    assert labels == applied
    print(f"{len(applied)} of {PATCHES} applied, the rest answered with a conflict")
    assert len(applied) > PATCHES / 2
    stored = shared_etcd.call("/v3/kv/range", key="L2FwaXNpeC9yb3V0ZXMvMQ==")["kvs"]
    assert int(stored[0]["version"]) == 1 + len(applied)  # type: ignore[index]
    for store in stores:
        await store.close()
