"""What watching a file means: as any store's watch, and what files add: half-written, replaced, gone, bad."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from control.store.base import Change, Changes, Compacted, Put, StoreError, StoreUnavailable
from control.store.file import Content, FileStore
from control.store.yaml_json import FileError

WAIT = 10.0
POLL = 0.01
P = "/unilb/t/"


def read(raw: bytes, in_force: Mapping[str, bytes]) -> Content:
    """A format of the test's own: words of key=value; `!` is bad, `?word` is a problem."""
    words = raw.replace(b"#END", b"").decode().split()
    if "!" in words:
        raise FileError(3, "there is a !")
    values = dict(word.split("=") for word in words if "=" in word)
    problems = tuple(f"{word} is odd" for word in words if word.startswith("?"))
    return Content({P + key: value.encode() for key, value in values.items()}, problems)


class Watched:
    """A file, its store, and the problems that it told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.kept = folder / "kept"
        self.told: list[str] = []
        self.store = self.open()

    def open(self) -> FileStore:
        return FileStore(self.path, read, self.kept, self.told.append, POLL)

    def write(self, text: str) -> None:
        """As editors do it: whole, at once."""
        fresh = self.path.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(self.path)

    async def told_about(self, *words: str) -> None:
        async with asyncio.timeout(WAIT):
            while not (self.told and all(word in self.told[-1] for word in words)):
                await asyncio.sleep(POLL)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path)
    watched.write("a=1 b=1\n#END")
    yield watched
    await watched.store.close()


async def take(store: FileStore, from_revision: int, up_to: int, prefix: str = P) -> list[Changes]:
    """Batches with changes until revision `up_to`."""
    seen: list[Changes] = []
    async with asyncio.timeout(WAIT), aclosing(store.watch([prefix], from_revision)) as watch:
        async for batch in watch:
            seen += [batch] if batch.changes else []
            if batch.revision >= up_to:
                return seen
    raise AssertionError("unreachable")


async def test_a_file_is_listed_in_order_at_revision_one(watched: Watched) -> None:
    watched.write("b=2 a=1 a/x=3\n#END")
    entries, revision = await watched.store.range(P)
    assert [(e.key, e.value, e.create_revision, e.mod_revision) for e in entries] == [
        *((P + "a", b"1", 1, 1), (P + "a/x", b"3", 1, 1), (P + "b", b"2", 1, 1))
    ]
    assert revision == 1 and await watched.store.range("/none/") == ([], 1)
    entry = await watched.store.get(P + "a")
    assert entry is not None and entry.value == b"1" and await watched.store.get(P) is None


async def test_a_change_is_one_batch_of_what_differs(watched: Watched) -> None:
    await watched.store.range(P)
    watched.write("a=1 b=2 c=1\n#END")
    (batch,) = await take(watched.store, 2, 2)
    assert batch == Changes(2, (Change(P + "b", b"2", 2, 1), Change(P + "c", b"1", 2, 2)))
    watched.write("a=1 c=1\n#END")
    assert await take(watched.store, 3, 3) == [Changes(3, (Change(P + "b", None, 3, 0),))]
    assert await take(watched.store, 2, 3) == [batch, Changes(3, (Change(P + "b", None, 3, 0),))]


async def test_the_same_content_in_another_form_is_no_change(watched: Watched) -> None:
    _, revision = await watched.store.range(P)
    watched.write("b=1     a=1\n\n#END")
    assert (await watched.store.range(P))[1] == revision
    os.utime(watched.path)
    assert (await watched.store.range(P))[1] == revision


async def test_a_watch_gets_only_its_prefixes_and_moves_on(watched: Watched) -> None:
    await watched.store.range(P)
    watched.write("a=2 b=1\n#END")
    assert await take(watched.store, 2, 2, P + "b") == []


async def test_a_watch_from_a_revision_that_is_not_kept_says_so(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.store.file.HISTORY_BATCHES", 2)
    for number in range(4):
        watched.write(f"a={number}\n#END")
        await watched.store.range(P)
    assert len(await take(watched.store, 3, 4)) == 2
    for missing in (2, 9):
        with pytest.raises(Compacted):
            await take(watched.store, missing, 9)


async def test_two_watches_see_the_same(watched: Watched) -> None:
    await watched.store.range(P)
    both = asyncio.gather(take(watched.store, 2, 2), take(watched.store, 2, 2))
    watched.write("a=5\n#END")
    one, other = await both
    assert one == other and len(one) == 1


async def test_closing_ends_a_watch(watched: Watched) -> None:
    await watched.store.range(P)
    watching = asyncio.create_task(take(watched.store, 2, 9))
    await asyncio.sleep(POLL)
    await watched.store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await watching


async def test_writes_are_refused_and_told_where_to_go(watched: Watched) -> None:
    with pytest.raises(StoreError, match=f"read from {watched.path}: change it there"):
        await watched.store.txn([], [Put(P + "a", b"")])


async def test_a_bad_file_leaves_the_last_good_content_and_the_next_good_one_follows(watched: Watched) -> None:
    before = await watched.store.range(P)
    watched.write("a=7 !\n#END")
    watching = asyncio.create_task(take(watched.store, 2, 2))
    await watched.told_about("line 3: there is a !")
    assert await watched.store.range(P) == before and not watching.done()
    assert watched.store.problem == f"{watched.path}: line 3: there is a !"
    watched.write("a=8 b=1\n#END")
    assert await watching == [Changes(2, (Change(P + "a", b"8", 2, 1),))]
    assert watched.store.problem == "" and watched.told[-1] == ""


async def test_going_back_to_the_content_before_a_bad_file_clears_the_problem(watched: Watched) -> None:
    await watched.store.range(P)
    for bad in ("!\n#END", None):
        if bad is None:
            watched.path.rename(watched.path.with_name("away"))
        else:
            watched.write(bad)
        await watched.store.range(P)
        assert watched.store.problem
        if bad is None:
            # The very same file, with the times and inode that it had.
            watched.path.with_name("away").rename(watched.path)
        else:
            watched.write("a=1 b=1\n#END")
        assert (await watched.store.range(P))[1] == 1 and watched.store.problem == ""


async def test_a_problem_of_one_object_does_not_stop_the_others(watched: Watched) -> None:
    await watched.store.range(P)
    watched.write("a=2 ?b b=1\n#END")
    assert len(await take(watched.store, 2, 2)) == 1
    assert watched.store.problem == f"{watched.path}: ?b is odd"


async def test_a_flood_of_problems_is_counted_not_written_out(watched: Watched) -> None:
    watched.write(" ".join(f"?{n}" for n in range(1000)))
    await watched.store.range(P)
    assert watched.store.problem.endswith("and 980 more") and len(watched.store.problem) < 1000


async def test_a_file_cut_short_that_had_an_end_is_not_taken(watched: Watched) -> None:
    before = await watched.store.range(P)
    watched.path.write_text("a=1")
    assert await watched.store.range(P) == before
    assert "not #END any more" in watched.store.problem


async def test_a_file_without_an_end_is_taken_when_its_writer_has_stopped(watched: Watched) -> None:
    watched.write("a=1")
    await watched.store.range(P)
    watching = asyncio.create_task(take(watched.store, 2, 2))
    # Never whole before the last piece: each look must find it changed since the last one, or wait.
    with watched.path.open("w") as slow:
        for word in ("a=1 ", "b=", "2 ", "c=3 "):
            slow.write(word)
            slow.flush()
            await asyncio.sleep(POLL / 4)
    batches = await watching
    async with asyncio.timeout(WAIT):
        while (entry := await watched.store.get(P + "c")) is None:
            await asyncio.sleep(POLL)
    assert entry.value == b"3" and all(change.value is not None for batch in batches for change in batch.changes)


async def test_a_second_write_within_the_same_clock_tick_is_seen(watched: Watched) -> None:
    watched.path.write_text("a=1 b=1\n#END")
    stamp = watched.path.stat()
    await watched.store.range(P)
    watched.path.write_text("a=2 b=1\n#END")
    os.utime(watched.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert len(await take(watched.store, 2, 2)) == 1


async def test_a_store_that_never_was_good_is_unavailable_and_says_why(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    with pytest.raises(StoreUnavailable, match="No such file"):
        await watched.store.range(P)
    watched.write("!")
    with pytest.raises(StoreUnavailable, match="line 3"):
        await watched.store.range(P)
    watched.write("a=1\n#END")
    assert (await watched.store.range(P))[1] == 1 and watched.told[-1] == ""


async def test_after_a_restart_the_last_good_file_takes_the_place_of_a_bad_one(watched: Watched) -> None:
    await watched.store.range(P)
    await watched.store.close()
    assert watched.kept.stat().st_mode & 0o777 == 0o600
    watched.write("!")
    again = watched.open()
    entries, revision = await again.range(P)
    assert [entry.value for entry in entries] == [b"1", b"1"] and revision == 1
    assert "line 3" in again.problem and "last good content" in again.problem
    watched.write("a=1 b=9\n#END")
    assert [change.value for change in (await take(again, 2, 2))[0].changes] == [b"9"]
    assert again.problem == ""
    await again.close()


async def test_a_content_with_problems_is_not_what_is_kept(watched: Watched) -> None:
    await watched.store.range(P)
    watched.write("a=2 ?b\n#END")
    await watched.store.range(P)
    assert watched.kept.read_text() == "a=1 b=1\n#END"


async def test_a_folder_that_cannot_be_written_is_told_and_the_file_is_in_force(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.kept = tmp_path / "none" / "kept"
    watched.store = watched.open()
    watched.write("a=1\n#END")
    assert (await watched.store.range(P))[1] == 1
    assert "no copy of the configuration is kept" in watched.told[0]
