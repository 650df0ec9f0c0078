"""FileStore: a Store that only reads, over one file that people edit. What a file means is its reader's matter.

A file that cannot be used leaves what was read last in force; `problem` says why.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from control.store.base import (
    Change,
    Changes,
    Compacted,
    Compare,
    Delete,
    Entry,
    Put,
    Replaced,
    StoreError,
    StoreUnavailable,
    TxnResult,
)
from control.store.file_format import has_end
from control.store.yaml_json import FileError

# Seconds between two looks at the file. One without an `#END` is read when two looks find the same.
POLL_INTERVAL = 0.25
# A clock tick of the file system may hide a second write: a file this young is read at each look.
YOUNG = 2.0
# Changes kept for watches that are behind; those further behind list again.
HISTORY_BATCHES = 1000
HISTORY_CHANGES = 200_000
# Problems that are written out; the rest is counted.
MAX_PROBLEMS = 20
# Looks at a file that is being written before the start gives up.
FIRST_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Content:
    """What a file says: values by key, and what in it is not in force and why."""

    values: Mapping[str, bytes]
    problems: tuple[str, ...] = ()


class ReadOnly(StoreError):
    """A write to a store that is read from a file."""


# From the bytes of the file and the values in force to its content. Raises FileError, or another ValueError.
Read = Callable[[bytes, Mapping[str, bytes]], Content]


class FileStore:
    """See Store. Revisions count the contents that differ from the one before, from 1.

    `kept`: where a copy of the last good file is kept; it takes the file's place when that is bad at the start.
    `say(problem)`: called when `problem` changes; "" when all of the file is in force again.
    """

    def __init__(
        self, path: Path, read: Read, kept: Path, say: Callable[[str], None], poll_interval: float = POLL_INTERVAL
    ) -> None:
        self.problem = ""
        self._path = path
        self._read = read
        self._kept = kept
        self._say = say
        self._poll_interval = poll_interval
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._history: deque[Changes] = deque()
        self._history_changes = 0
        self._is_readable = False
        self._signature: tuple[int, ...] | None = None
        self._raw: bytes | None = None
        self._had_end = False
        self._looking = asyncio.Lock()
        self._closed = asyncio.Event()

    async def range(self, prefix: str) -> tuple[list[Entry], int]:
        await self._look()
        if self._revision == 0:
            raise StoreUnavailable(self.problem)
        keys = sorted(key for key in self._entries if key.startswith(prefix))
        return [self._entries[key] for key in keys], self._revision

    async def get(self, key: str) -> Entry | None:
        entries, _ = await self.range(key)
        return next((entry for entry in entries if entry.key == key), None)

    async def txn(self, compares: Sequence[Compare], ops: Sequence[Put | Delete]) -> TxnResult:
        """Raises ReadOnly, always."""
        raise ReadOnly(f"the configuration is read from {self._path}: change it there")

    async def watch(self, prefixes: Sequence[str], from_revision: int) -> AsyncGenerator[Changes, None]:
        """See Store. () comes with each look that finds all well; none comes while the file cannot be used."""
        next_revision = from_revision
        while True:
            if self._closed.is_set():
                raise StoreUnavailable("the store is closed")
            await self._look()
            first = self._history[0].revision if self._history else self._revision + 1
            if next_revision > self._revision + 1:
                raise Replaced(f"revision {next_revision} is to come, the last is {self._revision}")
            if next_revision < first:
                raise Compacted(f"revision {next_revision} is not kept, only {first} to {self._revision}")
            for batch in [batch for batch in self._history if batch.revision >= next_revision]:
                next_revision = batch.revision + 1
                wanted = tuple(change for change in batch.changes if change.key.startswith(tuple(prefixes)))
                if wanted:
                    yield Changes(batch.revision, wanted)
            if self._is_readable:
                yield Changes(self._revision, ())
            try:
                async with asyncio.timeout(self._poll_interval):
                    await self._closed.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        self._closed.set()

    async def _look(self) -> None:
        """Read the file if it is another than at the last look."""
        async with self._looking:
            try:
                for _ in range(FIRST_LOOKS if self._revision == 0 else 1):
                    await self._read_changed()
                    if self._revision > 0:
                        return
                raise FileError(None, "it does not stop changing")
            except OSError as error:
                self._signature = self._raw = None
                await self._refuse(f"{error.strerror}")
            except ValueError as error:
                await self._refuse(str(error))

    async def _read_changed(self) -> None:
        signature = await asyncio.to_thread(self._stat)
        is_young = time.time_ns() - signature[0] < YOUNG * 1e9
        if signature == self._signature and not is_young:
            return
        raw = await asyncio.to_thread(self._path.read_bytes)
        if raw == self._raw:
            self._signature = signature
            return
        if not has_end(raw):
            # It may be half written.
            await asyncio.sleep(self._poll_interval)
        if await asyncio.to_thread(self._stat) != signature:
            # Somebody is writing: the next look finds the rest.
            return
        self._signature, self._raw = signature, raw
        if self._had_end and not has_end(raw):
            raise FileError(None, "the last line is not #END any more: it is not complete")
        content = await asyncio.to_thread(self._read, raw, self._values())
        self._had_end = has_end(raw)
        self._is_readable = True
        self._take(content)
        if not content.problems:
            await asyncio.to_thread(self._keep, raw)
        self._tell(_one_text(self._path, content.problems))

    async def _refuse(self, why: str) -> None:
        self._is_readable = False
        problem = f"{self._path}: {why}"
        if self._revision > 0:
            self._tell(problem)
        elif not self.problem.startswith(problem):
            self.problem = problem
            await self._fall_back()
            self._say(self.problem)

    async def _fall_back(self) -> None:
        """The copy of the last good file, if there is one, takes the place of the file."""
        try:
            raw = await asyncio.to_thread(self._kept.read_bytes)
            content = await asyncio.to_thread(self._read, raw, {})
        except (ValueError, OSError):
            return
        self._had_end = has_end(raw)
        self._take(content)
        self.problem += f"; in force is its last good content, kept in {self._kept}"

    def _take(self, content: Content) -> None:
        """Put new content in force: one batch of what differs, if anything does."""
        revision = self._revision + 1
        changes = [Change(key, None, revision, 0) for key in self._entries if key not in content.values]
        entries: dict[str, Entry] = {}
        for key, value in content.values.items():
            before = self._entries.get(key)
            if before is not None and before.value == value:
                entries[key] = before
                continue
            entries[key] = Entry(key, value, before.create_revision if before else revision, revision)
            changes.append(Change(key, value, revision, entries[key].create_revision))
        if changes or self._revision == 0:
            self._entries = entries
            self._revision = revision
            self._history.append(Changes(revision, tuple(changes)))
            self._history_changes += len(changes)
            while len(self._history) > HISTORY_BATCHES or self._history_changes > HISTORY_CHANGES:
                self._history_changes -= len(self._history.popleft().changes)

    def _values(self) -> dict[str, bytes]:
        return {key: entry.value for key, entry in self._entries.items()}

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._say(problem)

    def _stat(self) -> tuple[int, ...]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev

    def _keep(self, raw: bytes) -> None:
        """Whatever the copy meets, the file itself is in force."""
        fresh = self._kept.with_name(self._kept.name + ".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(raw)
            fresh.replace(self._kept)
        except OSError as error:
            self._say(f"{fresh}: no copy of the configuration is kept: {error.strerror}")


def _one_text(path: Path, problems: Sequence[str]) -> str:
    if not problems:
        return ""
    more = len(problems) - MAX_PROBLEMS
    return f"{path}: " + "; ".join([*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
