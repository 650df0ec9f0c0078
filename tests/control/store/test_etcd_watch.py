"""Watching a real etcd that is killed, frozen, compacted, wiped or behind a failed endpoint: no update is lost."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from control.store import etcd_watch
from control.store.base import Compacted, Put, Store, StoreUnavailable
from control.store.etcd import EtcdStore
from control.store.open import open_store
from tests.control.conftest import EtcdServer

pytestmark = pytest.mark.etcd
PREFIX = "/unilb/t/"
Start = Callable[..., EtcdServer]


class Watcher:
    """A task that collects what a watch delivers."""

    def __init__(self, store: Store, from_revision: int) -> None:
        self.values: list[bytes | None] = []
        self.revisions: list[int] = []
        self._arrived = asyncio.Event()
        self.task = asyncio.create_task(self._run(store, from_revision))
        self.task.add_done_callback(lambda _: self._arrived.set())

    async def _run(self, store: Store, from_revision: int) -> None:
        async with aclosing(store.watch([PREFIX], from_revision)) as watch:
            async for batch in watch:
                self.revisions.append(batch.revision)
                self.values += [change.value for change in batch.changes]
                self._arrived.set()

    async def until(self, count: int, seconds: float = 20) -> list[bytes | None]:
        """The values, once there are `count`; what the watch raised, if it raised."""
        async with asyncio.timeout(seconds):
            while len(self.values) < count and not self.task.done():
                self._arrived.clear()
                await self._arrived.wait()
        if self.task.done():
            self.task.result()
        return self.values

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def stores() -> AsyncIterator[Callable[[str], Store]]:
    opened: list[Store] = []

    def open_(url: str) -> Store:
        opened.append(open_store(url))
        return opened[-1]

    yield open_
    for store in opened:
        await store.close()


async def write(store: Store, *values: bytes) -> int:
    """Put each value under one key; the server may be just coming up."""
    revision = 0
    for value in values:
        async with asyncio.timeout(20):
            while True:
                try:
                    revision = (await store.txn([], [Put(PREFIX + "k", value)])).revision
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
    return revision


async def test_a_watch_survives_kill_minus_9_without_gap_or_repeat(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store, writer = stores(server.url), stores(server.url)
    _, revision = await store.range(PREFIX)
    watcher = Watcher(store, revision + 1)
    await write(writer, b"1", b"2")
    await watcher.until(2)
    for value in (b"3", b"4"):
        server.kill()
        await asyncio.to_thread(server.start)
        await write(writer, value)
    assert await watcher.until(4) == [b"1", b"2", b"3", b"4"]
    assert watcher.revisions == sorted(set(watcher.revisions))
    await watcher.stop()


async def test_writes_made_while_a_watch_was_away_are_delivered_when_it_resumes(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store = stores(server.url)
    last = await write(store, b"seen", b"missed", b"missed too")
    watcher = Watcher(store, last - 1)
    assert await watcher.until(2) == [b"missed", b"missed too"]
    await watcher.stop()


async def test_a_frozen_server_is_noticed_in_bounded_time_and_said_so(
    start_etcd: Start, stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("CHECK_INTERVAL", 0.2), ("CHECK_TIMEOUT", 0.5), ("GIVE_UP", 1.0)):
        monkeypatch.setattr(etcd_watch, name, seconds)
    server = start_etcd()
    store = stores(server.url)
    last = await write(store, b"1")
    watcher = Watcher(store, last)
    await watcher.until(1)
    server.freeze()
    with pytest.raises(StoreUnavailable):
        await watcher.until(2, seconds=10)
    server.thaw()
    watcher = Watcher(store, last + 1)
    await write(stores(server.url), b"2")
    assert await watcher.until(1) == [b"2"]
    await watcher.stop()


async def test_a_short_freeze_is_bridged_without_a_word(
    start_etcd: Start, stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("CHECK_INTERVAL", 0.1), ("CHECK_TIMEOUT", 0.3)):
        monkeypatch.setattr(etcd_watch, name, seconds)
    server = start_etcd()
    store = stores(server.url)
    watcher = Watcher(store, await write(store, b"1"))
    await watcher.until(1)
    server.freeze()
    # Long enough for a check to fail and the stream to be left.
    await asyncio.sleep(0.8)
    server.thaw()
    await write(stores(server.url), b"2")
    assert await watcher.until(2) == [b"1", b"2"]
    await watcher.stop()


async def test_a_compacted_revision_says_compacted(start_etcd: Start, stores: Callable[[str], Store]) -> None:
    server = start_etcd()
    store = stores(server.url)
    last = await write(store, b"1", b"2", b"3")
    server.call("/v3/kv/compaction", revision=str(last), physical=True)
    watcher = Watcher(store, last - 2)
    with pytest.raises(Compacted):
        await watcher.until(1)
    after = Watcher(store, last + 1)
    await write(store, b"4")
    assert await after.until(1) == [b"4"]
    await after.stop()


async def test_compaction_does_not_disturb_a_watch_that_keeps_up(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store = stores(server.url)
    watcher = Watcher(store, await write(store, b"1"))
    await watcher.until(1)
    last = await write(store, b"2", b"3")
    await watcher.until(3)
    server.call("/v3/kv/compaction", revision=str(last))
    await write(store, b"4")
    assert await watcher.until(4) == [b"1", b"2", b"3", b"4"]
    await watcher.stop()


async def test_a_wiped_server_says_compacted_instead_of_going_on(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store = stores(server.url)
    await write(store, *(b"v" for _ in range(10)))
    _, revision = await store.range(PREFIX)
    watcher = Watcher(store, revision + 1)
    await write(store, b"last")
    await watcher.until(1)
    server.kill()
    shutil.rmtree(server.directory)
    await asyncio.to_thread(server.start)
    with pytest.raises(Compacted):
        await watcher.until(2)


async def test_another_cluster_says_compacted_even_at_a_higher_revision(
    start_etcd: Start, stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_watch, "CHECK_INTERVAL", 0.2)
    listed, stranger = start_etcd(), start_etcd("--initial-cluster-token", "another")
    store = stores(f"{listed.url},{stranger.address}")
    _, revision = await store.range(PREFIX)
    await write(stores(stranger.url), *(b"v" for _ in range(20)))
    watcher = Watcher(store, revision + 1)
    await write(store, b"1")
    await watcher.until(1)
    listed.kill()
    with pytest.raises(Compacted):
        await watcher.until(2)


async def test_requests_and_watches_fail_over_to_the_next_endpoint(
    start_etcd: Start, stores: Callable[[str], Store]
) -> None:
    server = start_etcd()
    store = stores(f"etcd://127.0.0.1:1,{server.address}")
    assert (await store.txn([], [Put(PREFIX + "k", b"1")])).succeeded
    _, revision = await store.range(PREFIX)
    watcher = Watcher(stores(f"etcd://127.0.0.1:1,{server.address}"), revision)
    assert await watcher.until(1) == [b"1"]
    await watcher.stop()


async def test_a_watch_that_the_server_has_forgotten_is_opened_again(
    start_etcd: Start, stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream stands, the server answers, but nothing comes: the checks see the store move on without the watch."""
    monkeypatch.setattr(etcd_watch, "CHECK_INTERVAL", 0.1)
    server = start_etcd()
    store = stores(server.url)
    real = etcd_watch._read_lines
    is_deaf = True

    async def read_lines(content: object, messages: "asyncio.Queue[object]") -> None:
        if not is_deaf:
            await real(content, messages)  # type: ignore[arg-type]
        heard: asyncio.Queue[object] = asyncio.Queue()
        reading = asyncio.create_task(real(content, heard))  # type: ignore[arg-type]
        try:
            await messages.put(await heard.get())
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    monkeypatch.setattr(etcd_watch, "_read_lines", read_lines)
    last = await write(store, b"0")
    watcher = Watcher(store, last + 1)
    await write(store, b"1")
    await asyncio.sleep(0.3)
    assert watcher.values == []
    is_deaf = False
    assert await watcher.until(1) == [b"1"]
    await watcher.stop()


async def test_an_unreachable_store_is_unavailable_within_the_give_up_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_watch, "GIVE_UP", 0.3)
    store = open_store("etcd://127.0.0.1:1")
    assert isinstance(store, EtcdStore)
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(5):
            await Watcher(store, 5).until(1)
    with pytest.raises(StoreUnavailable):
        await store.range(PREFIX)
    await store.close()
