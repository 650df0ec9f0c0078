"""The embedded store: other processes, history and its bounds, broken files."""

import asyncio
import multiprocessing
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from control.store.base import Compacted, Compare, Delete, Put, StoreUnavailable
from control.store.sqlite import SqliteStore
from control.store.sqlite_file import SqliteFile

PREFIX = "/unilb/t/"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
async def store(path: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, history_revisions=8, history_bytes=1000)
    yield store
    await store.close()


def count_in_process(path: str, times: int) -> None:
    file = SqliteFile(path)
    done = 0
    while done < times:
        entry = file.get(PREFIX + "n")
        value = str(int(entry.value) + 1 if entry else 1).encode()
        compare = Compare(PREFIX + "n", entry.mod_revision if entry else 0)
        done += file.txn([compare], [Put(PREFIX + "n", value)]).succeeded
    file.close()


async def test_processes_share_a_file_and_a_watch_sees_all_they_write(path: str) -> None:
    store = SqliteStore(path)
    _, revision = await store.range(PREFIX)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=count_in_process, args=(path, 50)) for _ in range(3)]
    for process in processes:
        process.start()
    values = []
    async with asyncio.timeout(60), aclosing(store.watch([PREFIX], revision + 1)) as watch:
        async for batch in watch:
            values += [change.value for change in batch.changes]
            if len(values) == 150:
                break
    for process in processes:
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    assert values == [str(n).encode() for n in range(1, 151)]
    await store.close()


async def test_a_reader_too_far_behind_is_told_to_list_again(store: SqliteStore) -> None:
    first = (await store.txn([], [Put(PREFIX + "a", b"")])).revision
    for _ in range(20):
        last = (await store.txn([], [Put(PREFIX + "a", b"")])).revision
    with pytest.raises(Compacted):
        await anext(store.watch([PREFIX], first))
    async with aclosing(store.watch([PREFIX], last - 5)) as watch:
        assert (await anext(watch)).revision == last - 5


async def test_the_history_is_bounded_in_revisions_and_bytes(store: SqliteStore, path: str) -> None:
    for n in range(60):
        await store.txn([], [Put(PREFIX + "a", b"v" * (400 if n % 2 else 1))])
    with sqlite3.connect(path) as db:
        ((rows, size),) = db.execute("SELECT COUNT(*), SUM(LENGTH(value)) FROM history").fetchall()
        ((told,),) = db.execute("SELECT history_bytes FROM state").fetchall()
    db.close()
    assert rows <= 9 and size <= 1000
    assert told == size


async def test_compaction_asked_for_forgets_exactly_that(store: SqliteStore) -> None:
    revisions = [(await store.txn([], [Put(PREFIX + "a", b"")])).revision for _ in range(4)]
    await store.compact(revisions[1])
    with pytest.raises(Compacted):
        await anext(store.watch([PREFIX], revisions[1]))
    async with aclosing(store.watch([PREFIX], revisions[2])) as watch:
        assert (await anext(watch)).revision == revisions[2]


async def test_a_running_watch_outlives_compaction(store: SqliteStore) -> None:
    _, revision = await store.range(PREFIX)
    async with aclosing(store.watch([PREFIX], revision + 1)) as watch:
        for n in range(40):
            await store.txn([], [Put(PREFIX + "a", str(n).encode())])
            assert (await anext(watch)).changes[0].value == str(n).encode()


async def test_a_watch_far_behind_is_fed_in_pieces_that_keep_transactions_whole(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.store.sqlite.WATCH_BATCH", 3)
    store = SqliteStore(path)
    _, revision = await store.range(PREFIX)
    sizes = [1, 5, 2, 2, 9, 1, 1, 1]
    for size in sizes:
        await store.txn([], [Put(f"{PREFIX}{n}", b"") for n in range(size)])
    async with aclosing(store.watch([PREFIX], revision + 1)) as watch:
        assert [len((await anext(watch)).changes) for _ in sizes] == sizes
    await store.close()


async def test_changes_elsewhere_only_move_the_watch_on(store: SqliteStore) -> None:
    _, revision = await store.range(PREFIX)
    async with aclosing(store.watch([PREFIX], revision + 1)) as watch:
        elsewhere = await store.txn([], [Put("/elsewhere", b""), Delete(PREFIX + "a")])
        progress = await anext(watch)
    assert (progress.revision, progress.changes) == (elsewhere.revision, ())


async def test_a_failed_transaction_leaves_no_trace(store: SqliteStore) -> None:
    await store.txn([], [Put(PREFIX + "a", b"")])
    before = await store.range("/")
    with pytest.raises(TypeError):
        await store.txn([], [Put(PREFIX + "b", b""), Put(PREFIX + "c", object())])  # type: ignore[arg-type]
    assert await store.range("/") == before
    assert (await store.txn([], [Put(PREFIX + "b", b"")])).succeeded


async def test_only_the_owner_may_read_the_file(store: SqliteStore, path: str) -> None:
    await store.txn([], [Put(PREFIX + "a", b"")])
    for name in (path, path + "-wal"):
        assert os.stat(name).st_mode & 0o777 == 0o600


def write_or_mkdir(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"this is not a database, whatever its name says" * 30, None])
async def test_a_file_that_is_none_is_unavailable(path: str, content: bytes | None) -> None:
    await asyncio.to_thread(write_or_mkdir, Path(path), content)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        await store.get(PREFIX + "a")
    await store.close()


async def test_a_locked_file_is_unavailable_in_bounded_time(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.store.sqlite_file.BUSY_TIMEOUT", 0.1)
    store = SqliteStore(path)
    await store.get(PREFIX + "a")
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.txn([], [Put(PREFIX + "a", b"")])
    assert await store.get(PREFIX + "a") is None
    locker.execute("ROLLBACK")
    locker.close()
    assert (await store.txn([], [Put(PREFIX + "a", b"")])).succeeded
    await store.close()
