"""What a node reports, when, and what happens when nobody takes it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from control.model.keys import CONFIGURATION, REPORTS
from control.store.base import Put, StoreUnavailable, prefix_end
from control.store.file import ReadOnly
from control.store.sqlite import SqliteStore
from userspace.node.report import CHECK_EVERY, MAX_REJECTED, MAX_WHY, REFRESH_EVERY, REPORT_TTL, Reporter, named


class Steps:
    """A clock that moves when the reporter sleeps, one sleep per `step`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._go = asyncio.Semaphore(0)
        self._slept = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._slept.set()
        await self._go.acquire()
        self.now += seconds

    async def step(self, times: int = 1) -> None:
        for _ in range(times):
            await self._slept.wait()
            self._slept.clear()
            self._go.release()
        await self._slept.wait()


class Case:
    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.state: dict[str, Any] = {"revision": 1, "seen": 1, "store_age_seconds": 0.0}
        self.steps = Steps()
        self.puts: list[Put] = []
        self.error: Exception | None = None
        self._real = store.txn
        store.txn = self.txn  # type: ignore[method-assign]
        self.reporter = Reporter(store, "gw1", lambda: dict(self.state), lambda: self.steps.now, self.steps.sleep)
        self.task = asyncio.create_task(self.reporter.run())

    async def txn(self, compares: Any, ops: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.puts += [op for op in ops if isinstance(op, Put)]
        return await self._real(compares, ops)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    store = SqliteStore(str(tmp_path / "store.db"))
    made = Case(store)
    yield made
    await made.stop()
    await store.close()


async def test_it_reports_at_once_and_then_when_something_changed(case: Case) -> None:
    await case.steps.step(3)
    assert [(put.key, put.ttl) for put in case.puts] == [(REPORTS + "gw1", REPORT_TTL)]
    case.state["revision"] = 2
    await case.steps.step()
    assert orjson.loads(case.puts[1].value)["revision"] == 2
    assert CHECK_EVERY < 1 and REFRESH_EVERY < REPORT_TTL / 2


async def test_what_moves_all_the_time_waits_for_the_refresh(case: Case) -> None:
    refresh = int(REFRESH_EVERY / CHECK_EVERY)
    for number in range(refresh):
        case.state |= {"store_age_seconds": float(number), "seen": number}
        await case.steps.step()
    assert len(case.puts) == 1
    await case.steps.step(2)
    assert len(case.puts) == 2


async def test_a_report_that_fails_is_counted_and_made_again(case: Case) -> None:
    await case.steps.step()
    case.error = StoreUnavailable("no route")
    case.state["revision"] = 2
    await case.steps.step(3)
    assert (case.reporter.failures, case.reporter.last_error) == (3, "no route")
    case.error = None
    await case.steps.step()
    assert (case.reporter.failures, case.reporter.last_error, len(case.puts)) == (3, "", 2)


async def test_a_node_that_stops_takes_its_report_back(case: Case) -> None:
    await case.steps.step()
    assert await case.store.get(REPORTS + "gw1") is not None
    await case.stop()
    assert await case.store.get(REPORTS + "gw1") is None


async def test_a_store_that_only_reads_is_told_nothing(case: Case) -> None:
    case.error = ReadOnly("a file")
    await case.steps.step()
    case.state["revision"] = 2
    case.steps._go.release()
    await asyncio.wait_for(case.task, 5)


def test_rejected_objects_are_named_in_part_and_counted_in_whole() -> None:
    found = named({f"/apisix/routes/{n:02}": "x" * 1000 for n in range(30)})
    assert (found["rejected_count"], len(found["rejected"])) == (30, MAX_REJECTED)
    assert list(found["rejected"])[0] == "/apisix/routes/00" and len(found["rejected"]["/apisix/routes/00"]) == MAX_WHY


def test_no_watch_of_the_configuration_covers_the_reports() -> None:
    """etcd's watch is one range over all prefixes."""
    assert not min(CONFIGURATION) <= REPORTS < max(prefix_end(prefix) for prefix in CONFIGURATION)
