"""Source against a store in memory that can be cut off, compacted and swapped for another."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from control.store.base import Change, Changes, Compacted, Compare, Delete, Entry, Put, StoreUnavailable, TxnResult
from userspace.config.source import FIRST_DELAY, LONGEST_DELAY, Source, Update

A, B = "/a/", "/b/"


class MemoryStore:
    """The Store protocol over a list of changes."""

    def __init__(self) -> None:
        self.revision = 0
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.history: list[Changes] = []
        self.compacted = 0
        self.is_away = False
        self.ranges = 0
        self.watched_from: list[int] = []
        self.between_ranges: list[tuple[str, bytes | None]] = []
        self.is_watched = asyncio.Event()
        self._news = asyncio.Condition()

    async def put(self, *pairs: tuple[str, bytes | None]) -> None:
        self.write(*pairs)
        await self.wake()

    def write(self, *pairs: tuple[str, bytes | None]) -> None:
        self.revision += 1
        changes = []
        for key, value in pairs:
            if value is None:
                self.objects.pop(key, None)
            else:
                self.objects[key] = (value, self.revision)
            changes.append(Change(key, value, self.revision, 0))
        self.history.append(Changes(self.revision, tuple(changes)))

    async def wake(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def progress(self) -> None:
        self.revision += 1
        self.history.append(Changes(self.revision, ()))
        await self.wake()

    async def set_away(self, away: bool) -> None:
        self.is_away = away
        await self.wake()

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        self.ranges += 1
        if self.is_away:
            raise StoreUnavailable("no route")
        found = [
            Entry(key, value, at, at) for key, (value, at) in sorted(self.objects.items()) if key.startswith(prefix)
        ]
        revision = self.revision
        if self.between_ranges:
            self.write(*self.between_ranges)
            self.between_ranges = []
        return found, revision

    async def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        self.watched_from.append(from_revision)
        seen = from_revision - 1
        if seen < self.compacted or seen > self.revision:
            raise Compacted(f"revision {from_revision} is gone")
        if not self.is_away:
            self.is_watched.set()
        while True:
            if self.is_away:
                raise StoreUnavailable("reset")
            for batch in [batch for batch in self.history if batch.revision > seen]:
                seen = batch.revision
                yield batch
            async with self._news:
                if not self.is_away and not any(batch.revision > seen for batch in self.history):
                    await self._news.wait()

    async def get(self, key: str) -> Entry | None:
        return None

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        return TxnResult(False, self.revision)

    async def close(self) -> None:
        return None


class Follower:
    """A Source at work, its updates, and the delays it asked for; the clock stands still but for `now`."""

    def __init__(self, store: MemoryStore, opened: Callable[[str, bytes], bytes] = lambda key, value: value) -> None:
        self.now = 100.0
        self.delays: list[float] = []
        self.updates: asyncio.Queue[Update] = asyncio.Queue()
        self.slept = asyncio.Event()
        self.source = Source(store, (A, B), clock=lambda: self.now, sleep=self.sleep, opened=opened)

    async def sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.slept.set()
        await asyncio.sleep(0)

    async def failed(self, times: int) -> None:
        while len(self.delays) < times:
            self.slept.clear()
            await self.slept.wait()

    async def __aenter__(self) -> "Follower":
        self.task = asyncio.create_task(self.source.run(self.updates.put))
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def next(self) -> Update:
        return await asyncio.wait_for(self.updates.get(), 5)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_it_delivers_the_list_and_then_each_change(store: MemoryStore) -> None:
    store.write((A + "1", b"one"), ("/other", b"x"))
    async with Follower(store) as follower:
        assert await follower.next() == Update(1, ((A + "1", b"one"),))
        await store.put((B + "2", b"two"), (A + "1", None))
        assert await follower.next() == Update(2, ((B + "2", b"two"), (A + "1", None)))
        assert follower.source.objects == {B + "2": b"two"}
        assert (follower.source.revision, follower.source.lists, store.watched_from) == (2, 1, [2])


async def test_values_are_opened_wherever_they_come_from(store: MemoryStore) -> None:
    store.write((A + "1", b"sealed"))
    async with Follower(store, lambda key, value: key.encode() + value.upper()) as follower:
        assert await follower.next() == Update(1, ((A + "1", b"/a/1SEALED"),))
        await store.put((B + "2", b"too"), (A + "1", None))
        assert await follower.next() == Update(2, ((B + "2", b"/b/2TOO"), (A + "1", None)))
        assert follower.source.objects == {B + "2": b"/b/2TOO"}


async def test_an_empty_list_is_delivered_too(store: MemoryStore) -> None:
    async with Follower(store) as follower:
        assert await follower.next() == Update(0, ())


async def test_progress_moves_the_revision_without_an_update(store: MemoryStore) -> None:
    async with Follower(store) as follower:
        await follower.next()
        await store.progress()
        await store.put((A + "1", b"one"))
        assert (await follower.next()).revision == 2
        assert follower.updates.empty()


async def test_after_an_outage_it_goes_on_from_the_last_revision(store: MemoryStore) -> None:
    store.write((A + "1", b"one"))
    async with Follower(store) as follower:
        await follower.next()
        await store.set_away(True)
        await follower.failed(3)
        assert follower.source.objects == {A + "1": b"one"}
        assert (follower.source.last_error, follower.source.outages >= 3) == ("reset", True)
        store.write((A + "1", b"new"))
        await store.set_away(False)
        assert await follower.next() == Update(2, ((A + "1", b"new"),))
        assert (follower.source.lists, set(store.watched_from), follower.source.last_error) == (1, {2}, "")


async def test_a_store_that_is_away_at_first_is_waited_for_ever_more_slowly(store: MemoryStore) -> None:
    store.is_away = True
    async with Follower(store) as follower:
        await follower.failed(20)
        assert (follower.source.age, follower.source.last_error) == (None, "no route")
        assert FIRST_DELAY / 2 <= follower.delays[0] <= FIRST_DELAY
        assert all(delay <= LONGEST_DELAY for delay in follower.delays)
        assert all(delay >= LONGEST_DELAY / 2 for delay in follower.delays[10:])
        assert len(set(follower.delays[10:])) > 1
        store.write((A + "1", b"one"))
        await store.set_away(False)
        assert (await follower.next()).changes == ((A + "1", b"one"),)


async def test_compacted_history_means_listing_again_and_delivering_the_difference(store: MemoryStore) -> None:
    store.write((A + "gone", b"1"), (A + "same", b"2"), (B + "changed", b"3"))
    async with Follower(store) as follower:
        await follower.next()
        await store.set_away(True)
        await follower.failed(1)
        store.write((A + "gone", None), (B + "changed", b"4"), (B + "new", b"5"))
        store.history.clear()
        store.compacted = store.revision
        await store.set_away(False)
        update = await follower.next()
        assert dict(update.changes) == {A + "gone": None, B + "changed": b"4", B + "new": b"5"}
        assert (update.revision, follower.source.lists) == (2, 2)
        await store.put((A + "same", b"6"))
        assert await follower.next() == Update(3, ((A + "same", b"6"),))


async def test_listing_again_without_a_difference_is_no_update(store: MemoryStore) -> None:
    store.write((A + "1", b"one"))
    async with Follower(store) as follower:
        await follower.next()
        await store.set_away(True)
        await follower.failed(1)
        store.revision, store.compacted = 50, 50
        store.history.clear()
        store.is_watched.clear()
        await store.set_away(False)
        await asyncio.wait_for(store.is_watched.wait(), 5)
        assert follower.source.lists == 2
        await store.put((A + "2", b"two"))
        assert await follower.next() == Update(51, ((A + "2", b"two"),))


async def test_a_restored_store_with_lower_revisions_replaces_everything(store: MemoryStore) -> None:
    for number in range(5):
        store.write((A + str(number), b"old"))
    async with Follower(store) as follower:
        await follower.next()
        await store.set_away(True)
        await follower.failed(1)
        store.objects.clear()
        store.history.clear()
        store.revision = 0
        store.write((A + "0", b"restored"))
        await store.set_away(False)
        update = await follower.next()
        assert dict(update.changes) == {A + "0": b"restored", **{A + str(number): None for number in range(1, 5)}}
        assert (update.revision, follower.source.revision) == (1, 1)


async def test_a_write_between_the_lists_of_two_prefixes_is_neither_lost_nor_undone(store: MemoryStore) -> None:
    store.write((A + "1", b"old"), (B + "1", b"old"))
    store.between_ranges = [(A + "1", b"new"), (B + "1", b"new")]
    async with Follower(store) as follower:
        assert dict((await follower.next()).changes) == {A + "1": b"old", B + "1": b"new"}
        assert await follower.next() == Update(2, ((A + "1", b"new"),))
        await store.put((B + "1", b"newer"))
        assert await follower.next() == Update(3, ((B + "1", b"newer"),))


async def test_age_counts_from_the_last_sign_of_life(store: MemoryStore) -> None:
    async with Follower(store) as follower:
        await follower.next()
        follower.now += 7
        assert follower.source.age == 7
        await store.put((A + "1", b"one"))
        await follower.next()
        assert follower.source.age == 0


async def test_what_the_receiver_raises_ends_it(store: MemoryStore) -> None:
    async def broken(update: Update) -> None:
        raise RuntimeError("receiver")

    with pytest.raises(RuntimeError, match="receiver"):
        await Source(store, (A,)).run(broken)
