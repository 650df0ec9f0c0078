"""What stays in force when the store comes back empty."""

import asyncio

from tests.userspace.config.test_source import A, B, Follower, MemoryStore, store

__all__ = ["store"]


async def wiped(store: MemoryStore, follower: Follower, *then: tuple[str, bytes | None]) -> None:
    """Take the store away and bring another back: empty but for `then`, at lower revisions."""
    await store.set_away(True)
    await follower.failed(1)
    store.objects.clear()
    store.history.clear()
    store.revision = 0
    if then:
        store.write(*then)
    store.is_watched.clear()
    await store.set_away(False)
    await asyncio.wait_for(store.is_watched.wait(), 5)


async def test_a_wiped_store_takes_nothing_away_until_it_has_something(store: MemoryStore) -> None:
    for number in range(3):
        store.write((A + str(number), b"old"), (B + str(number), b"old"))
    async with Follower(store) as follower:
        await follower.next()
        await wiped(store, follower)
        assert (len(follower.source.objects), follower.source.held) == (6, {A, B})
        assert follower.updates.empty()
        await store.put((A + "new", b"1"), (A + "2", b"2"))
        update = await follower.next()
        assert dict(update.changes) == {A + "0": None, A + "1": None, A + "2": b"2", A + "new": b"1"}
        assert follower.source.held == {B}
        await store.put((A + "new", None))
        assert dict((await follower.next()).changes) == {A + "new": None}
        await store.put((B + "0", b"1"), (B + "0", None))
        assert dict((await follower.next()).changes) == {B + "0": None}
        assert follower.source.held == {B}


async def test_a_wiped_store_that_was_refilled_in_part_replaces_that_part(store: MemoryStore) -> None:
    store.write((A + "1", b"old"), (B + "1", b"old"))
    store.write((A + "2", b"old"))
    async with Follower(store) as follower:
        await follower.next()
        await wiped(store, follower, (A + "3", b"new"))
        assert dict((await follower.next()).changes) == {A + "1": None, A + "2": None, A + "3": b"new"}
        assert (follower.source.objects, follower.source.held) == ({A + "3": b"new", B + "1": b"old"}, {B})


async def test_what_is_held_stays_held_when_the_list_is_made_again(store: MemoryStore) -> None:
    store.write((A + "1", b"old"))
    store.write((A + "1", b"newer"))
    async with Follower(store) as follower:
        await follower.next()
        await wiped(store, follower)
        await store.set_away(True)
        await follower.failed(len(follower.delays) + 1)
        store.revision = store.compacted = 50
        store.is_watched.clear()
        await store.set_away(False)
        await asyncio.wait_for(store.is_watched.wait(), 5)
        assert (follower.source.objects, follower.source.held) == ({A + "1": b"newer"}, {A})
        await store.put((A + "1", b"back"))
        assert dict((await follower.next()).changes) == {A + "1": b"back"}
        assert not follower.source.held


async def test_deletions_of_the_same_store_are_believed_even_when_it_lists_nothing(store: MemoryStore) -> None:
    store.write((A + "1", b"old"))
    async with Follower(store) as follower:
        await follower.next()
        await store.set_away(True)
        await follower.failed(1)
        store.write((A + "1", None))
        store.history.clear()
        store.compacted = store.revision
        await store.set_away(False)
        assert dict((await follower.next()).changes) == {A + "1": None}
        assert not follower.source.held
