"""What a node tells the control plane of itself: one key in the store, under a lease, below REPORTS.

Written when it changed, at most every CHECK_EVERY, and else every REFRESH_EVERY; it expires REPORT_TTL after the last,
and is taken back when the node stops. It is no configuration: no node reads or watches it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from itertools import islice
from typing import Any, Final

import orjson

from control.model.keys import REPORTS
from control.store.base import Delete, Put, Store, StoreError
from control.store.file import ReadOnly

log = logging.getLogger("unilb.report")

# Seconds.
REPORT_TTL: Final = 30
REFRESH_EVERY: Final = 10.0
CHECK_EVERY: Final = 0.8
FAREWELL_WITHIN: Final = 1.0
MAX_REJECTED: Final = 20  # objects that are named; all are counted
MAX_WHY: Final = 200  # characters of each reason
# Moves all the time: a change of these alone is no news. An endpoint that goes up or down changes "endpoints" too.
_RESTLESS: Final = ("store_age_seconds", "seen", "health", "health_counters")

VERSION: Final = version("unilb")


class Reporter:
    """Reports what `state` returns for the node `id`. `failures` counts reports that the store did not take."""

    def __init__(
        self,
        store: Store,
        id: str,
        state: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.failures = 0
        self.last_error = ""
        self._store = store
        self._key = REPORTS + id
        self._state = state
        self._clock = clock
        self._sleep = sleep
        self._started = int(time.time())

    async def run(self) -> None:
        """Report until cancelled. A store that nobody can write to, as a file, ends it."""
        told: Mapping[str, Any] = {}
        last = -REFRESH_EVERY
        try:
            while True:
                state = self._state()
                news = {name: value for name, value in state.items() if name not in _RESTLESS}
                is_due = news != told or self._clock() - last >= REFRESH_EVERY
                if is_due and await self._tell(state):
                    told, last = news, self._clock()
                await self._sleep(CHECK_EVERY)
        except ReadOnly:
            return
        except asyncio.CancelledError:
            await self._take_back()
            raise

    async def _tell(self, state: Mapping[str, Any]) -> bool:
        report = {**state, "version": VERSION, "started": self._started, "at": round(time.time(), 3)}
        try:
            await self._store.txn([], [Put(self._key, orjson.dumps(report), ttl=REPORT_TTL)])
        except ReadOnly:
            raise
        except StoreError as error:
            self.failures += 1
            if not self.last_error:
                log.warning("the store takes no report: %s", error)
            self.last_error = str(error)
            return False
        self.last_error = ""
        return True

    async def _take_back(self) -> None:
        """A node that stops is silent at once, if the store is there to hear it."""
        try:
            async with asyncio.timeout(FAREWELL_WITHIN):
                await self._store.txn([], [Delete(self._key)])
        except (StoreError, TimeoutError) as error:
            log.info("the last report stays until it expires: %s", error or "no answer")


def named(rejected: Mapping[str, str]) -> dict[str, Any]:
    """The rejected objects as a report holds them: how many, and the first of them with the reasons."""
    first = islice(sorted(rejected.items()), MAX_REJECTED)
    return {"rejected_count": len(rejected), "rejected": {key: why[:MAX_WHY] for key, why in first}}
