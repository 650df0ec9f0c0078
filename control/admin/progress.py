"""How far each node is: what nodes report, beside what the store has."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from control.model.keys import CONFIGURATION, PREFIXES, REPORTS
from control.store.base import Compacted, Entry, Store, StoreError

Doc = dict[str, Any]

# Changes that are remembered; a node that is behind by more is at least this far behind.
MAX_CHANGES = 10_000
RETRY = 1.0


class Progress:
    """The revisions that changed the configuration since this process started, and when each was seen."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._revisions: list[int] = []
        self._times: list[float] = []

    async def run(self) -> None:
        """Follow the store until cancelled."""
        next_revision = 0
        while True:
            try:
                if not next_revision:
                    _, revision = await self._store.range(PREFIXES["keys"])
                    next_revision = revision + 1
                async with aclosing(self._store.watch(CONFIGURATION, next_revision)) as watch:
                    async for batch in watch:
                        next_revision = batch.revision + 1
                        if batch.changes:
                            self.note(batch.revision)
            except Compacted:
                # What was counted belongs to a history that is gone.
                next_revision = 0
                self._revisions.clear()
                self._times.clear()
            except StoreError:
                pass
            await asyncio.sleep(RETRY)

    def note(self, revision: int) -> None:
        """Take one revision that changed the configuration."""
        self._revisions.append(revision)
        self._times.append(self._clock())
        if len(self._revisions) > 2 * MAX_CHANGES:
            del self._revisions[:-MAX_CHANGES], self._times[:-MAX_CHANGES]

    def behind(self, revision: int) -> Doc:
        """How many changes somebody who serves `revision` has still to take, and for how many seconds."""
        first = bisect_right(self._revisions, revision)
        missing = len(self._revisions) - first
        return {"changes": missing, "seconds": round(self._clock() - self._times[first], 3) if missing else 0.0}


async def nodes(store: Store, progress: Progress) -> tuple[list[Doc], int]:
    """Every node that there is an object of, or a report from, by id, and the store's revision. Raises StoreError.

    `state`: silent, without a live report; behind, when it or a worker of it serves less than the store has; holding,
    when it keeps what a wiped store lost; ok.
    """
    reports, revision = await store.range(REPORTS)
    objects, _ = await store.range(PREFIXES["node"])
    known: dict[str, Doc] = {entry.key.removeprefix(PREFIXES["node"]): _object(entry) for entry in objects}
    live = {entry.key.removeprefix(REPORTS): _object(entry) for entry in reports}
    now = time.time()
    found = []
    for id in sorted(known.keys() | live.keys()):
        if id in live:
            found.append(_node(id, live[id], progress, now))
        else:
            found.append({"id": id, "state": "silent", "role": known[id].get("role")})
    return found, revision


def _node(id: str, report: Doc, progress: Progress, now: float) -> Doc:
    workers = report.get("workers")
    served = [report.get("revision"), *(workers.values() if isinstance(workers, Mapping) else ())]
    lag = progress.behind(min((number for number in served if isinstance(number, int)), default=0))
    at = report.pop("at", None)
    age = round(max(0.0, now - at), 3) if isinstance(at, int | float) else None
    state = "behind" if lag["changes"] else "holding" if report.get("held") else "ok"
    return {**report, "id": id, "state": state, "lag": lag, "age_seconds": age}


def _object(entry: Entry) -> Doc:
    try:
        parsed = orjson.loads(entry.value)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
