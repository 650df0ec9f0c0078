"""The embedded store's file: tables, transactions and history. Synchronous; one thread uses one instance."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence

from control.store.base import Change, Changes, Compacted, Compare, Delete, Entry, Put, Replaced, TxnResult, prefix_end

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL,
    expires REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    revision INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, value BLOB,
    create_revision INTEGER NOT NULL, PRIMARY KEY (revision, position)
);
CREATE TABLE IF NOT EXISTS state (
    only INTEGER PRIMARY KEY CHECK (only = 1), format INTEGER NOT NULL,
    revision INTEGER NOT NULL, compacted INTEGER NOT NULL, history_bytes INTEGER NOT NULL
);
INSERT OR IGNORE INTO state VALUES (1, 2, 1, 0, 0);
"""
# `expires` is in seconds since 1970: it goes on while no process has the file open.
_EXPIRING = "CREATE INDEX IF NOT EXISTS expiring ON entries (expires) WHERE expires IS NOT NULL"
_FORMAT = 2
_COLUMNS = "key, value, create_revision, mod_revision"
# A reader that is further behind than this lists again.
HISTORY_REVISIONS = 10_000
HISTORY_BYTES = 64 << 20
# Seconds to wait for another process's write lock.
BUSY_TIMEOUT = 5.0


class SqliteFile:
    """One connection. Raises sqlite3.Error for whatever the disk or another process does to it."""

    def __init__(self, path: str, history_revisions: int = HISTORY_REVISIONS, history_bytes: int = HISTORY_BYTES):
        self._history_revisions = history_revisions
        self._history_bytes = history_bytes
        self._commits = 0
        # The store holds keys: only its owner may read it. sqlite gives its -wal and -shm files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # check_same_thread: the owner makes sure of one thread, and closes from whichever is left.
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            self._enter_wal()
            # FULL: an answered write survives power loss, as with etcd.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            self._migrate(path)
            self._db.execute(_EXPIRING)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def _migrate(self, path: str) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        (format,) = self._db.execute("SELECT format FROM state").fetchone()
        if format == 1:
            self._db.execute("ALTER TABLE entries ADD COLUMN expires REAL")
            self._db.execute("UPDATE state SET format = 2")
        elif format != _FORMAT:
            raise sqlite3.DatabaseError(f"{path}: format {format}, this program writes {_FORMAT}")
        self._db.execute("COMMIT")

    def _enter_wal(self) -> None:
        # Two processes that make the file together meet here, and sqlite does not wait for this lock by itself.
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)

    def version(self) -> tuple[int, int]:
        """A value that changes when this connection or another has written, or a key expired. Cheap."""
        self._sweep()
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version), self._commits

    def get(self, key: str) -> Entry | None:
        self._sweep()
        return self._entry(key)

    def range(self, prefix: str) -> tuple[list[Entry], int]:
        self._sweep()
        self._db.execute("BEGIN")
        try:
            revision, _, _ = self._state()
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix_end(prefix))
            ).fetchall()
        finally:
            self._db.execute("COMMIT")
        return [Entry(*row) for row in rows], revision

    def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        self._sweep()
        return self._write(lambda: self._txn(compares, ops))

    def _sweep(self) -> None:
        """Delete the keys whose time is over, all in one revision."""
        (earliest,) = self._db.execute("SELECT MIN(expires) FROM entries WHERE expires IS NOT NULL").fetchone()
        if earliest is None or earliest > time.time():
            return

        def expire() -> TxnResult:
            # Asked again: another process may have swept, or have put the key anew, before the lock was ours.
            expired = self._db.execute("SELECT key FROM entries WHERE expires <= ?", (time.time(),)).fetchall()
            return self._txn([], [Delete(key) for (key,) in expired])

        self._write(expire)

    def _write(self, work: Callable[[], TxnResult]) -> TxnResult:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._db.execute("COMMIT")
            self._commits += 1
            return result
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def since(self, prefixes: Sequence[str], from_revision: int, limit: int) -> tuple[list[Changes], int]:
        """At most about `limit` changes from `from_revision` on, whole revisions, and the revision read up to.

        Raises Compacted when part of that is gone, Replaced when it lies in a future that this file has not seen.
        """
        self._db.execute("BEGIN")
        try:
            revision, compacted, _ = self._state()
            if from_revision > revision + 1:
                raise Replaced(f"revision {from_revision} is to come, the last is {revision}: the file was replaced")
            if from_revision <= compacted:
                raise Compacted(f"revision {from_revision} is not kept, only {compacted + 1} to {revision}")
            last = self._db.execute(
                "SELECT revision FROM history WHERE revision >= ? ORDER BY revision, position LIMIT 1 OFFSET ?",
                (from_revision, limit),
            ).fetchone()
            up_to = max(int(last[0]) - 1, from_revision) if last else revision
            rows = self._db.execute(
                "SELECT key, value, revision, create_revision FROM history WHERE revision BETWEEN ? AND ?"
                " ORDER BY revision, position",
                (from_revision, up_to),
            ).fetchall()
        finally:
            self._db.execute("COMMIT")
        by_revision: dict[int, list[Change]] = {}
        for row in rows:
            if row[0].startswith(tuple(prefixes)):
                by_revision.setdefault(row[2], []).append(Change(*row))
        return [Changes(number, tuple(changes)) for number, changes in by_revision.items()], up_to

    def compact(self, up_to: int) -> None:
        """Forget the changes of `up_to` and before."""
        self._db.execute("BEGIN IMMEDIATE")
        self._forget(min(up_to, self._state()[0]))
        self._db.execute("COMMIT")

    def _state(self) -> tuple[int, int, int]:
        revision, compacted, size = self._db.execute("SELECT revision, compacted, history_bytes FROM state").fetchone()
        return revision, compacted, size

    def _txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        revision, compacted, size = self._state()
        for compare in compares:
            entry = self._entry(compare.key)
            if (entry.mod_revision if entry else 0) != compare.mod_revision:
                return TxnResult(False, revision)
        position = 0
        for op in ops:
            entry = self._entry(op.key)
            if isinstance(op, Delete) and entry is None:
                continue
            size += self._apply(op, entry, revision + 1, position)
            position += 1
        if position == 0:
            return TxnResult(True, revision)
        revision += 1
        self._db.execute("UPDATE state SET revision = ?, history_bytes = ?", (revision, size))
        # Trimmed by an eighth at a time: each write pays a little, none pays for all.
        if revision - compacted > self._history_revisions * 9 // 8:
            self._forget(revision - self._history_revisions)
        elif size > self._history_bytes:
            self._forget((compacted + revision) // 2)
        return TxnResult(True, revision)

    def _entry(self, key: str) -> Entry | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM entries WHERE key = ?", (key,)).fetchone()
        return Entry(*row) if row else None

    def _apply(self, op: Put | Delete, entry: Entry | None, revision: int, position: int) -> int:
        """Carry out one operation; return the bytes that it adds to the history."""
        value, created = (op.value, entry.create_revision if entry else revision) if isinstance(op, Put) else (None, 0)
        if value is None:
            self._db.execute("DELETE FROM entries WHERE key = ?", (op.key,))
        else:
            expires = time.time() + op.ttl if isinstance(op, Put) and op.ttl is not None else None
            self._db.execute("REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", (op.key, value, created, revision, expires))
        self._db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", (revision, position, op.key, value, created))
        return len(value or b"")

    def _forget(self, up_to: int) -> None:
        (freed,) = self._db.execute(
            "SELECT COALESCE(SUM(LENGTH(value)), 0) FROM history WHERE revision <= ?", (up_to,)
        ).fetchone()
        self._db.execute("DELETE FROM history WHERE revision <= ?", (up_to,))
        self._db.execute(
            "UPDATE state SET compacted = MAX(compacted, ?), history_bytes = history_bytes - ?", (up_to, freed)
        )
