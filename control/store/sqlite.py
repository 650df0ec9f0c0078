"""SqliteStore: the embedded store, for the processes of one machine."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from control.store.base import Changes, Compare, Delete, Entry, Put, StoreUnavailable, TxnResult, check_txn
from control.store.sqlite_file import HISTORY_BYTES, HISTORY_REVISIONS, SqliteFile

T = TypeVar("T")

# How often a watch looks for writes of other instances and processes, seconds. Own writes wake it at once.
POLL_INTERVAL = 0.02
SIGN_OF_LIFE = 2.0
# Changes read in one go by a watch that is behind.
WATCH_BATCH = 500


class SqliteStore:
    """The Store over one file. Every call on the file runs in one worker thread; the loop never waits for the disk."""

    def __init__(
        self, path: str, history_revisions: int = HISTORY_REVISIONS, history_bytes: int = HISTORY_BYTES
    ) -> None:
        self._path = path
        self._limits = (history_revisions, history_bytes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        self._file: SqliteFile | None = None
        self._is_closed = False
        # Replaced at each write of ours: a watch waits on the one it saw before it read.
        self._written = asyncio.Event()

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        return await self._call(lambda file: file.range(prefix))

    async def get(self, key: str) -> Entry | None:
        return await self._call(lambda file: file.get(key))

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        check_txn(compares, ops)
        result = await self._call(lambda file: file.txn(compares, ops))
        if result.succeeded and ops:
            self._wake()
        return result

    async def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        next_revision = from_revision
        while True:
            written = self._written
            # The version is read first: a write in between is then seen once too often, never missed.
            version = await self._call(SqliteFile.version)
            first = next_revision
            batches, up_to = await self._call(lambda file, first=first: file.since(prefixes, first, WATCH_BATCH))  # type: ignore[misc]
            for batch in batches:
                yield batch
            if up_to >= next_revision:
                next_revision = up_to + 1
                if not batches or batches[-1].revision < up_to:
                    yield Changes(up_to, ())
                continue
            if not await self._wait(written, version):
                yield Changes(next_revision - 1, ())

    async def compact(self, up_to: int) -> None:
        """Forget the history up to a revision; watches that ask for it get Compacted."""
        await self._call(lambda file: file.compact(up_to))

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._wake()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_file)
        self._thread.shutdown()

    def _wake(self) -> None:
        written, self._written = self._written, asyncio.Event()
        written.set()

    async def _wait(self, written: asyncio.Event, version: tuple[int, int]) -> bool:
        """True when this instance has written, or another has; False when none has for SIGN_OF_LIFE."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SIGN_OF_LIFE
        while not written.is_set() and loop.time() < until:
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await written.wait()
            except TimeoutError:
                if await self._call(SqliteFile.version) != version:
                    return True
        return written.is_set()

    async def _call(self, work: Callable[[SqliteFile], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _run(self, work: Callable[[SqliteFile], T]) -> T:
        if self._file is None:
            self._file = SqliteFile(self._path, *self._limits)
        return work(self._file)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
