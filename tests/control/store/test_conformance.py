"""What a Store is: every test runs against sqlite and against a real etcd."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from control.store.base import (
    MAX_COMPARES,
    MAX_OPS,
    MAX_TTL,
    MAX_VALUE_BYTES,
    Change,
    Changes,
    Compare,
    Delete,
    Entry,
    Put,
    Replaced,
    Store,
    StoreUnavailable,
)
from control.store.open import open_store

PREFIX = "/unilb/t/"
WAIT = 10.0


@pytest.fixture(params=["sqlite", pytest.param("etcd", marks=pytest.mark.etcd)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of the test's own."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/store.db"
    start: Callable[..., object] = request.getfixturevalue("start_etcd")
    return str(start().url)  # type: ignore[attr-defined]


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = open_store(url)
    yield store
    await store.close()


@pytest.fixture
async def other(url: str) -> AsyncIterator[Store]:
    """A second client of the same store."""
    store = open_store(url)
    yield store
    await store.close()


async def take(store: Store, from_revision: int, up_to: int, prefixes: tuple[str, ...] = (PREFIX,)) -> list[Changes]:
    """What a watch delivers until it has reached revision `up_to`."""
    seen: list[Changes] = []
    async with asyncio.timeout(WAIT), aclosing(store.watch(prefixes, from_revision)) as watch:
        async for batch in watch:
            seen.append(batch)
            if batch.revision >= up_to:
                break
    return seen


async def put(store: Store, key: str, value: bytes = b"v") -> int:
    result = await store.txn([], [Put(PREFIX + key, value)])
    assert result.succeeded
    return result.revision


async def test_a_missing_key_is_none_and_an_empty_prefix_lists_nothing(store: Store) -> None:
    assert await store.get(PREFIX + "a") is None
    entries, revision = await store.range(PREFIX)
    assert entries == [] and revision >= 1


async def test_a_put_is_read_back_with_its_revisions(store: Store) -> None:
    first = await put(store, "a", b"one")
    second = await put(store, "a", b"two")
    entry = await store.get(PREFIX + "a")
    assert entry is not None and second > first
    assert (entry.value, entry.create_revision, entry.mod_revision) == (b"two", first, second)


async def test_any_byte_and_the_empty_value_survive(store: Store) -> None:
    every = bytes(range(256))
    await store.txn([], [Put(PREFIX + "every", every), Put(PREFIX + "empty", b""), Put(PREFIX + "ключ ключ", b"x")])
    entries, _ = await store.range(PREFIX)
    assert {e.key.removeprefix(PREFIX): e.value for e in entries} == {"every": every, "empty": b"", "ключ ключ": b"x"}


async def test_range_takes_exactly_the_prefix_in_byte_order(store: Store) -> None:
    keys = ["/unilb/s", "/unilb/t", "/unilb/t/", "/unilb/t/B", "/unilb/t/a", "/unilb/t/a/b", "/unilb/t0", "/unilb/u"]
    await store.txn([], [Put(key, b"") for key in reversed(keys)])
    entries, _ = await store.range(PREFIX)
    assert [entry.key for entry in entries] == ["/unilb/t/", "/unilb/t/B", "/unilb/t/a", "/unilb/t/a/b"]


async def test_range_gives_the_revision_that_it_read_at(store: Store) -> None:
    written = await put(store, "a")
    _, revision = await store.range(PREFIX)
    assert revision == written


async def test_a_long_range_is_complete_and_of_one_revision(store: Store) -> None:
    count = 4500
    for first in range(0, count, 1500):
        await store.txn([], [Put(f"{PREFIX}{n:05}", b"v") for n in range(first, first + 1500)])
    entries, _ = await store.range(PREFIX)
    assert [entry.key for entry in entries] == [f"{PREFIX}{n:05}" for n in range(count)]


@pytest.mark.parametrize("existing", [False, True])
async def test_a_compare_holds_only_at_the_exact_revision(store: Store, existing: bool) -> None:
    revision = await put(store, "a", b"old") if existing else 0
    for wrong in (revision + 1, 0 if existing else 99):
        result = await store.txn([Compare(PREFIX + "a", wrong)], [Put(PREFIX + "a", b"bad"), Put(PREFIX + "b", b"bad")])
        assert not result.succeeded
    assert await store.get(PREFIX + "b") is None
    assert (await store.txn([Compare(PREFIX + "a", revision)], [Put(PREFIX + "a", b"new")])).succeeded
    entry = await store.get(PREFIX + "a")
    assert entry is not None and entry.value == b"new"


async def test_one_false_compare_of_many_stops_everything(store: Store) -> None:
    revision = await put(store, "a")
    compares = [Compare(PREFIX + "a", revision), Compare(PREFIX + "b", 0), Compare(PREFIX + "c", 7)]
    result = await store.txn(compares, [Delete(PREFIX + "a")])
    assert not result.succeeded
    assert await store.get(PREFIX + "a") is not None


async def test_a_deleted_key_may_be_created_again(store: Store) -> None:
    await put(store, "a")
    assert (await store.txn([], [Delete(PREFIX + "a")])).succeeded
    assert await store.get(PREFIX + "a") is None
    again = await store.txn([Compare(PREFIX + "a", 0)], [Put(PREFIX + "a", b"")])
    entry = await store.get(PREFIX + "a")
    assert again.succeeded and entry is not None and entry.create_revision == again.revision


async def test_deleting_what_is_missing_changes_nothing(store: Store) -> None:
    before = await put(store, "a")
    result = await store.txn([], [Delete(PREFIX + "missing")])
    assert (result.succeeded, result.revision) == (True, before)


async def test_all_keys_of_a_transaction_carry_its_revision(store: Store) -> None:
    result = await store.txn([], [Put(PREFIX + "a", b""), Put(PREFIX + "b", b"")])
    entries, _ = await store.range(PREFIX)
    assert {entry.mod_revision for entry in entries} == {result.revision}


@pytest.mark.parametrize("count", [121, 1000, MAX_OPS])
async def test_a_transaction_of_many_operations_is_one_revision_and_one_batch(store: Store, count: int) -> None:
    _, revision = await store.range(PREFIX)
    result = await store.txn([Compare(PREFIX + "0", 0)], [Put(f"{PREFIX}{n}", b"v" * 100) for n in range(count)])
    assert result.succeeded and result.revision == revision + 1
    (batch,) = await take(store, revision + 1, result.revision)
    assert len(batch.changes) == count


@pytest.mark.parametrize(
    ("compares", "ops"),
    [
        pytest.param([], [Put("/a", b""), Delete("/a")], id="a key twice"),
        pytest.param([], [Delete(f"/{n}") for n in range(MAX_OPS + 1)], id="too many operations"),
        pytest.param([Compare(f"/{n}", 0) for n in range(MAX_COMPARES + 1)], [], id="too many compares"),
        pytest.param([], [Put("/a", b"v" * (MAX_VALUE_BYTES + 1))], id="too big a value"),
        pytest.param([], [Put("/a", b"", ttl=0)], id="no time"),
        pytest.param([], [Put("/a", b"", ttl=MAX_TTL + 1)], id="too long a time"),
    ],
)
async def test_a_transaction_beyond_the_limits_is_refused_whole(
    store: Store, compares: list[Compare], ops: list[Put | Delete]
) -> None:
    _, before = await store.range("/")
    with pytest.raises(ValueError):
        await store.txn(compares, ops)
    assert await store.range("/") == ([], before)


async def test_as_many_compares_as_allowed_all_count(store: Store) -> None:
    compares = [Compare(f"{PREFIX}{n}", 0) for n in range(MAX_COMPARES)]
    assert (await store.txn(compares, [Put(f"{PREFIX}{MAX_COMPARES - 1}", b"")])).succeeded
    assert not (await store.txn(compares, [Put(f"{PREFIX}x", b"")])).succeeded


async def test_the_biggest_value_is_stored(store: Store) -> None:
    await put(store, "big", b"v" * MAX_VALUE_BYTES)
    entry = await store.get(PREFIX + "big")
    assert entry is not None and len(entry.value) == MAX_VALUE_BYTES


async def test_what_is_put_for_a_while_goes_by_a_revision_of_its_own(store: Store, other: Store) -> None:
    kept = await put(store, "kept")
    result = await store.txn([], [Put(PREFIX + "a", b"x", ttl=2), Put(PREFIX + "b", b"", ttl=2)])
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await store.get(PREFIX + "a") == Entry(PREFIX + "a", b"x", result.revision, result.revision)
    gone: set[str] = set()
    async with asyncio.timeout(WAIT), aclosing(other.watch([PREFIX], result.revision + 1)) as watch:
        async for batch in watch:
            assert all(
                (change.value, change.mod_revision > result.revision) == (None, True) for change in batch.changes
            )
            gone |= {change.key for change in batch.changes}
            if len(gone) == 2:
                break
    assert gone == {PREFIX + "a", PREFIX + "b"} and loop.time() - started > 1
    assert await store.get(PREFIX + "a") is None
    entries, _ = await other.range(PREFIX)
    assert [(entry.key, entry.mod_revision) for entry in entries] == [(PREFIX + "kept", kept)]


async def test_what_nobody_watches_expires_too(store: Store) -> None:
    await store.txn([], [Put(PREFIX + "a", b"", ttl=1)])
    async with asyncio.timeout(WAIT):
        while await store.get(PREFIX + "a") is not None:
            await asyncio.sleep(0.1)
    assert (await store.txn([Compare(PREFIX + "a", 0)], [Put(PREFIX + "a", b"again")])).succeeded


async def test_each_put_sets_the_time_anew(store: Store, other: Store) -> None:
    """One put again for a while lives on; one put again for ever stays."""
    await store.txn([], [Put(PREFIX + name, b"1", ttl=2) for name in ("again", "ever", "probe")])
    await asyncio.sleep(1)
    last = (await other.txn([], [Put(PREFIX + "again", b"2", ttl=60), Put(PREFIX + "ever", b"2")])).revision
    (batch,) = [batch for batch in await take(store, last + 1, last + 1) if batch.changes]
    assert [change.key for change in batch.changes] == [PREFIX + "probe"]
    # Whatever of the same lease were to go would go with it.
    entries, _ = await store.range(PREFIX)
    assert [entry.key for entry in entries] == [PREFIX + "again", PREFIX + "ever"]


async def test_a_put_that_did_not_come_to_pass_leaves_nothing_to_expire(store: Store) -> None:
    revision = await put(store, "a")
    assert not (await store.txn([Compare(PREFIX + "a", 0)], [Put(PREFIX + "a", b"", ttl=1)])).succeeded
    await asyncio.sleep(3)
    _, now = await store.range(PREFIX)
    assert now == revision


async def test_concurrent_writers_lose_no_update(store: Store, other: Store) -> None:
    await put(store, "n", b"0")

    async def count(client: Store, times: int) -> None:
        done = 0
        while done < times:
            entry = await client.get(PREFIX + "n")
            assert entry is not None
            value = str(int(entry.value) + 1).encode()
            result = await client.txn([Compare(entry.key, entry.mod_revision)], [Put(entry.key, value)])
            done += result.succeeded

    await asyncio.gather(*(count(client, 15) for client in (store, other, store, other)))
    entry = await store.get(PREFIX + "n")
    assert entry is not None and entry.value == b"60"


async def test_of_concurrent_creators_exactly_one_wins(store: Store, other: Store) -> None:
    results = await asyncio.gather(
        *(client.txn([Compare(PREFIX + "a", 0)], [Put(PREFIX + "a", b"")]) for client in (store, other) * 10)
    )
    assert sum(result.succeeded for result in results) == 1


async def test_a_watch_delivers_what_others_write_in_order(store: Store, other: Store) -> None:
    _, revision = await store.range(PREFIX)
    watching = asyncio.create_task(take(store, revision + 1, revision + 20))
    for n in range(20):
        await put(other, "a", str(n).encode())
    batches = [batch for batch in await watching if batch.changes]
    assert [batch.changes[0].value for batch in batches] == [str(n).encode() for n in range(20)]
    assert [batch.revision for batch in batches] == list(range(revision + 1, revision + 21))


async def test_a_watch_from_the_past_delivers_the_past_and_then_the_present(store: Store) -> None:
    first = await put(store, "a", b"1")
    second = await put(store, "a", b"2")
    watching = asyncio.create_task(take(store, first, second + 1))
    await put(store, "a", b"3")
    values = [change.value for batch in await watching for change in batch.changes]
    assert values == [b"1", b"2", b"3"]


async def test_a_watch_resumed_at_any_revision_neither_repeats_nor_skips(store: Store) -> None:
    first = await put(store, "a", b"0")
    for n in range(1, 6):
        await put(store, "a", str(n).encode())
    for resume in range(first, first + 6):
        seen = [c.value for batch in await take(store, resume, first + 5) for c in batch.changes]
        assert seen == [str(n).encode() for n in range(resume - first, 6)]


async def test_an_atomic_transaction_is_one_batch_with_deletions_in_order(store: Store, other: Store) -> None:
    created = await put(store, "gone")
    _, revision = await store.range(PREFIX)
    watching = asyncio.create_task(take(store, revision + 1, revision + 1))
    result = await other.txn([], [Put(PREFIX + "b", b"1"), Delete(PREFIX + "gone"), Put(PREFIX + "a", b"2")])
    (batch,) = await watching
    assert created < result.revision == batch.revision
    assert batch.changes == (
        Change(PREFIX + "b", b"1", result.revision, result.revision),
        Change(PREFIX + "gone", None, result.revision, 0),
        Change(PREFIX + "a", b"2", result.revision, result.revision),
    )


async def test_a_transaction_over_two_watched_prefixes_is_one_batch(store: Store) -> None:
    _, revision = await store.range("/")
    ops = [Put("/apisix/routes/1", b"r"), Put("/middle", b"no"), Put("/unilb/vpcs/1", b"v"), Put("/unilb/z", b"no")]
    result = await store.txn([], ops)
    (batch,) = await take(store, revision + 1, result.revision, ("/unilb/vpcs/", "/apisix/routes/"))
    assert [change.key for change in batch.changes] == ["/apisix/routes/1", "/unilb/vpcs/1"]


async def test_a_watch_says_nothing_about_keys_outside_its_prefixes(store: Store) -> None:
    _, revision = await store.range("/")
    await store.txn([], [Put("/elsewhere", b"x")])
    last = await put(store, "a")
    batches = await take(store, revision + 1, last)
    assert [change.key for batch in batches for change in batch.changes] == [PREFIX + "a"]


async def test_several_watches_each_get_everything(store: Store, other: Store) -> None:
    _, revision = await store.range(PREFIX)
    watching = [asyncio.create_task(take(client, revision + 1, revision + 5)) for client in (store, other, store)]
    for n in range(5):
        await put(store, str(n))
    for batches in await asyncio.gather(*watching):
        assert [c.key for batch in batches for c in batch.changes] == [f"{PREFIX}{n}" for n in range(5)]


@pytest.mark.alone
async def test_a_write_of_another_client_reaches_a_watch_within_a_tenth_of_a_second(store: Store, other: Store) -> None:
    _, revision = await store.range(PREFIX)
    async with asyncio.timeout(WAIT), aclosing(store.watch([PREFIX], revision + 1)) as watch:
        delays = []
        loop = asyncio.get_running_loop()
        for n in range(10):
            receiving = asyncio.create_task(anext(watch))
            await put(other, str(n))
            answered = loop.time()
            await receiving
            delays.append(loop.time() - answered)
    assert sorted(delays)[5] < 0.1


async def test_a_revision_of_the_future_is_refused(store: Store) -> None:
    """Where it was seen, it existed: this store is older, or another."""
    _, revision = await store.range(PREFIX)
    with pytest.raises(Replaced):
        await take(store, revision + 100, revision + 100)


async def test_a_watch_gives_signs_of_life_when_nothing_changes(store: Store) -> None:
    revision = await put(store, "a")
    async with asyncio.timeout(WAIT), aclosing(store.watch([PREFIX], revision)) as watch:
        assert [len((await anext(watch)).changes) for _ in range(3)] == [1, 0, 0]
        assert await put(store, "a") == revision + 1
        while not (batch := await anext(watch)).changes:
            assert batch.revision <= revision + 1
    assert batch.revision == revision + 1


async def test_a_stopped_watch_leaves_the_store_usable(store: Store) -> None:
    _, revision = await store.range(PREFIX)
    for _ in range(3):
        waiting = asyncio.create_task(take(store, revision + 1, revision + 1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await put(store, "a") == revision + 1


async def test_a_cancelled_write_that_happened_reaches_the_watches(store: Store) -> None:
    _, revision = await store.range(PREFIX)
    watching = asyncio.create_task(take(store, revision + 1, revision + 1))
    writing = asyncio.create_task(put(store, "a"))
    for _ in range(3):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    if await store.get(PREFIX + "a") is None:
        await put(store, "a")
    assert [change.key for batch in await watching for change in batch.changes] == [PREFIX + "a"]


async def test_a_closed_store_says_so(store: Store) -> None:
    await put(store, "a")
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get(PREFIX + "a")


async def test_closing_ends_a_waiting_watch_at_once(store: Store) -> None:
    _, revision = await store.range(PREFIX)
    watch = store.watch([PREFIX], revision)
    waiting = asyncio.create_task(take(store, revision + 1, revision + 2))
    await put(store, "a")
    async with asyncio.timeout(WAIT):
        await anext(watch)
    ending = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(2):
        results = await asyncio.gather(ending, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]


async def test_content_outlives_the_client(url: str) -> None:
    for expected in (None, b"v"):
        store = open_store(url)
        entry = await store.get(PREFIX + "a")
        assert (entry.value if entry else None) == expected
        await put(store, "a")
        await store.close()
