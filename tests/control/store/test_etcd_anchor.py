"""A watch begins a new stream with the last change that it knows: a store that went back is told apart by it."""

import asyncio
import shutil
from collections.abc import Callable

import pytest

from control.store.base import Put, Replaced, Store
from tests.control.store.test_etcd_watch import PREFIX, Start, Watcher, stores, write

__all__ = ["stores"]
pytestmark = pytest.mark.etcd


async def test_a_restored_store_that_was_written_to_until_it_passed_us_is_told_apart(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    writer = stores(server.url)
    first = await write(writer, b"before the backup")
    server.kill()
    backup = server.directory.with_name("backup")
    await asyncio.to_thread(shutil.copytree, server.directory, backup)
    server.start()
    store = stores(server.url)
    _, revision = await store.range(PREFIX)
    watcher = Watcher(store, revision + 1)
    await write(writer, b"lost")
    assert await watcher.until(1) == [b"lost"]
    server.kill()
    shutil.rmtree(server.directory)
    backup.rename(server.directory)
    # The restored store is written to before the watch finds it.
    server.move()
    server.start()
    for number in range(5):
        await write(stores(server.url), f"other {number}".encode())
    server.kill()
    server.move()
    server.start()
    with pytest.raises(Replaced, match="the store was restored"):
        await watcher.until(2)
    entries, revision = await store.range(PREFIX)
    assert entries[0].value == b"other 4" and revision > first + 1
    again = Watcher(store, revision + 1)
    await write(writer, b"on")
    assert await again.until(1) == [b"on"]
    await again.stop()


async def test_a_watch_goes_on_although_the_last_change_that_it_knows_is_compacted(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store = stores(server.url)
    _, revision = await store.range(PREFIX)
    watcher = Watcher(store, revision + 1)
    last = await write(store, b"1")
    await watcher.until(1)
    await store.txn([], [Put("/elsewhere", b"")])
    server.kill()
    server.start()
    server.call("/v3/kv/compaction", revision=str(last + 1))
    await write(store, b"2")
    assert await watcher.until(2) == [b"1", b"2"]
    await watcher.stop()
