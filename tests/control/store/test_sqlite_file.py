"""The file of the embedded store: revisions, history, compaction."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from control.store.base import Change, Changes, Compacted, Compare, Delete, Put
from control.store.sqlite_file import SqliteFile


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


@pytest.fixture
def file(path: str) -> Iterator[SqliteFile]:
    file = SqliteFile(path)
    yield file
    file.close()


def test_an_empty_store_is_at_revision_one_like_etcd(file: SqliteFile) -> None:
    assert file.range("/") == ([], 1)
    assert file.txn([], [Put("/a", b"")]).revision == 2


def test_history_is_read_in_pieces_of_whole_transactions(file: SqliteFile) -> None:
    file.txn([], [Put("/a", b"1"), Put("/b", b"2")])
    file.txn([], [Delete("/a")])
    first = Changes(2, (Change("/a", b"1", 2, 2), Change("/b", b"2", 2, 2)))
    second = Changes(3, (Change("/a", None, 3, 0),))
    assert file.since(["/"], 2, 1) == ([first], 2)
    assert file.since(["/"], 2, 2) == ([first], 2)
    assert file.since(["/"], 2, 3) == ([first, second], 3)
    assert file.since(["/b"], 2, 3) == ([Changes(2, first.changes[1:])], 3)
    assert file.since(["/"], 4, 1) == ([], 3)


@pytest.mark.parametrize("revision", [0, 1, 2, 5])
def test_a_revision_that_is_not_kept_or_not_yet_made_is_compacted(file: SqliteFile, revision: int) -> None:
    file.txn([], [Put("/a", b"")])
    file.txn([], [Put("/a", b"")])
    file.compact(2)
    with pytest.raises(Compacted):
        file.since(["/"], revision, 10)


def test_compaction_stops_at_the_present(file: SqliteFile) -> None:
    file.txn([], [Put("/a", b"")])
    file.compact(100)
    assert file.txn([], [Put("/a", b"x")]).revision == 3
    assert file.since(["/"], 3, 10) == ([Changes(3, (Change("/a", b"x", 3, 2),))], 3)


def test_a_transaction_that_changes_nothing_makes_no_revision(file: SqliteFile) -> None:
    version = file.version()
    assert file.txn([Compare("/a", 9)], [Put("/a", b"")]).revision == 1
    assert file.txn([], [Delete("/a")]).revision == 1
    assert file.since(["/"], 2, 10) == ([], 1)
    assert file.version() >= version


def test_the_version_tells_of_own_and_of_others_writes(file: SqliteFile, path: str) -> None:
    other = SqliteFile(path)
    for writer in (file, other):
        before = file.version()
        assert file.version() == before
        writer.txn([], [Put("/a", b"")])
        assert file.version() != before
    other.close()


def test_a_file_of_another_format_is_refused(path: str) -> None:
    SqliteFile(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE state SET format = 3")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="format 3"):
        SqliteFile(path)


def test_what_was_written_survives_closing(path: str) -> None:
    for revision in (2, 3):
        file = SqliteFile(path)
        assert file.txn([], [Put("/a", b"")]).revision == revision
        file.close()


def test_many_may_make_the_file_at_the_same_moment(tmp_path: Path) -> None:
    def make(path: str, start: threading.Barrier) -> int:
        start.wait()
        file = SqliteFile(path)
        try:
            return file.txn([], [Put("/a", b"")]).revision
        finally:
            file.close()

    with ThreadPoolExecutor(8) as threads:
        for round in range(10):
            start = threading.Barrier(8)
            made = [threads.submit(make, f"{tmp_path}/{round}.db", start) for _ in range(8)]
            assert sorted(future.result() for future in made) == list(range(2, 10))


def test_a_file_of_the_first_format_is_taken_over(path: str) -> None:
    SqliteFile(path).close()
    with sqlite3.connect(path) as db:
        db.execute("DROP INDEX expiring")
        db.execute("ALTER TABLE entries DROP COLUMN expires")
        db.execute("UPDATE state SET format = 1")
        db.execute("INSERT INTO entries VALUES ('/a', 'old', 1, 1)")
    db.close()
    for _ in range(2):
        file = SqliteFile(path)
        entry = file.get("/a")
        assert entry is not None and entry.create_revision == 1
        file.txn([], [Put("/b", b"new", ttl=60)])
        file.close()


def test_what_expires_while_nobody_looks_is_gone_at_the_next_look(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("control.store.sqlite_file.time.time", lambda: now)
    file = SqliteFile(path)
    written = file.txn([], [Put("/a", b"", ttl=10), Put("/b", b"", ttl=10), Put("/c", b"", ttl=11)]).revision
    now += 9.9
    assert len(file.range("/")[0]) == 3
    now += 0.1
    entries, revision = file.range("/")
    assert ([entry.key for entry in entries], revision) == (["/c"], written + 1)
    assert [change.key for batch in file.since(["/"], written + 1, 10)[0] for change in batch.changes] == ["/a", "/b"]
    now += 1
    assert file.txn([Compare("/c", 0)], [Put("/c", b"")]).succeeded
    file.close()
