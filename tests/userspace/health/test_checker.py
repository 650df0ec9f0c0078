"""The checker with probes that the test answers, and against real endpoints."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from control.model.upstream import Upstream
from tests.userspace.health.endpoints import answering, listening, resetting, silent
from tests.userspace.health.upstreams import upstream
from userspace.health import checker as module
from userspace.health.checker import TCP_FAILURE, TIMED_OUT, Checker
from userspace.health.probe import Result, probe
from userspace.health.secured import ProbeContexts
from userspace.health.state import Health, Outcome, Status
from userspace.health.targets import Key, Target, targets_of
from userspace.health.watch import Watch

A, B = ("u", "10.0.0.1", 80), ("u", "10.0.0.2", 80)
UP = Result(Outcome.SUCCESS, "status 200")
REFUSED = Result(Outcome.TCP, "connect: refused")


class Bench:
    """A checker whose probes meet `results`, by address; `changes` is what it said."""

    def __init__(self, **results: Result) -> None:
        self.results: dict[str, Result] = {}
        self.changes: list[tuple[Key, Status]] = []
        self.gone: list[Key] = []
        self.running: list[Target] = []
        self.most = 0
        self.release: asyncio.Event | None = None
        self.checker = Checker(self._changed, self.gone.append, self._run, first_within=0.001)

    def set(self, of: Upstream) -> None:
        self.checker.set(of.id, targets_of(of))

    def status(self, key: Key) -> Status:
        return self.checker.watches[key].health.status

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)

    def _changed(self, watch: Watch) -> None:
        self.changes.append((watch.target.key, watch.health.status))

    async def _run(self, target: Target) -> Result:
        self.running.append(target)
        self.most = max(self.most, len(self.running))
        if self.release is not None:
            await self.release.wait()
        self.running.remove(target)
        return self.results.get(target.host, UP)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of an interval takes 5 ms."""
    monkeypatch.setattr(Watch, "interval", property(lambda self: 0.005))


@pytest.fixture
async def bench() -> Any:
    bench = Bench()
    yield bench
    bench.checker.stop()


TWO = {"10.0.0.1:80": 1, "10.0.0.2:80": 1}


async def test_endpoints_begin_healthy_and_are_probed_at_once(bench: Bench) -> None:
    bench.set(upstream(TWO))
    assert bench.changes == [(A, Status.HEALTHY), (B, Status.HEALTHY)]
    await bench.until(lambda: bench.checker.counts[Outcome.SUCCESS] >= 4)


async def test_an_endpoint_falls_and_rises_by_its_limits(bench: Bench) -> None:
    bench.results["10.0.0.1"] = REFUSED
    bench.set(upstream(TWO))
    await bench.until(lambda: bench.status(A) is Status.UNHEALTHY)
    assert bench.status(B) is Status.HEALTHY
    assert bench.checker.watches[A].why == "connect: refused (tcp_failure 2 of 2)"
    bench.results["10.0.0.1"] = UP
    await bench.until(lambda: bench.status(A) is Status.HEALTHY)
    assert [status for key, status in bench.changes if key == A] == [
        *(Status.HEALTHY, Status.MOSTLY_HEALTHY, Status.UNHEALTHY, Status.MOSTLY_UNHEALTHY, Status.HEALTHY),
    ]


async def test_changed_nodes_keep_the_state_of_those_that_stay(bench: Bench) -> None:
    bench.results["10.0.0.1"] = REFUSED
    bench.set(upstream(TWO))
    await bench.until(lambda: bench.status(A) is Status.UNHEALTHY)
    bench.set(upstream({"10.0.0.1:80": 5, "10.0.0.3:80": 1}, healthy={"successes": 7}))
    assert bench.gone == [B]
    assert bench.status(A) is Status.UNHEALTHY and bench.status(("u", "10.0.0.3", 80)) is Status.HEALTHY
    assert bench.checker.watches[A].target.checks.active.limits.successes == 7


@pytest.mark.parametrize("more", [{"http_path": "/other"}, {"passive": {}}, {"host": "h.example"}, {"type": "tcp"}])
async def test_another_question_begins_anew(bench: Bench, more: dict[str, Any]) -> None:
    bench.results["10.0.0.1"] = REFUSED
    bench.set(upstream(TWO))
    await bench.until(lambda: bench.status(A) is Status.UNHEALTHY)
    bench.release = asyncio.Event()
    bench.set(upstream(TWO, **more))
    assert bench.checker.watches[A].health == Health()
    await bench.until(lambda: {target.host for target in bench.running} == {"10.0.0.1", "10.0.0.2"})


async def test_an_upstream_without_checks_is_left_alone(bench: Bench) -> None:
    bench.set(upstream(TWO))
    bench.checker.set("u", {})
    assert bench.gone == [A, B] or bench.gone == [B, A]
    probed = sum(bench.checker.counts.values())
    await asyncio.sleep(0.02)
    assert sum(bench.checker.counts.values()) == probed and not bench.checker.watches


async def test_no_more_probes_run_at_once_than_the_upstream_wants(bench: Bench) -> None:
    bench.release = asyncio.Event()
    bench.set(upstream({f"10.0.0.{n}:80": 1 for n in range(1, 20)}, concurrency=3))
    await asyncio.sleep(0.03)
    assert bench.most == 3
    bench.release.set()
    await bench.until(lambda: bench.checker.counts[Outcome.SUCCESS] >= 19)
    assert bench.most == 3 and bench.checker.counts["late"] > 0


async def test_no_more_probes_run_at_once_than_the_node_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROBES", 4)
    bench = Bench()
    bench.release = asyncio.Event()
    for id in "abc":
        bench.set(upstream({f"10.0.0.{n}:80": 1 for n in range(1, 9)}, id))
    await asyncio.sleep(0.03)
    assert bench.most == 4
    bench.release.set()
    await bench.until(lambda: bench.checker.counts[Outcome.SUCCESS] >= 24)
    bench.checker.stop()


async def test_targets_beyond_the_limit_are_counted_and_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TARGETS", 1)
    bench = Bench()
    bench.set(upstream(TWO))
    assert list(bench.checker.watches) == [A] and bench.checker.counts["overflow"] == 1
    bench.checker.stop()


async def test_a_successor_begins_with_the_states_of_its_predecessor(bench: Bench) -> None:
    bench.release = asyncio.Event()
    bench.checker.restore({A: Health(Status.UNHEALTHY, tcp_failure=2), ("u", "10.0.0.9", 80): Health()})
    assert bench.checker.restored() == {"u"}
    bench.set(upstream(TWO))
    assert bench.changes == [(A, Status.UNHEALTHY), (B, Status.HEALTHY)]
    assert bench.checker.unclaimed("u") == [("u", "10.0.0.9", 80)]
    assert bench.checker.restored() == frozenset()


class TestPassive:
    PASSIVE = {"unhealthy": {"tcp_failures": 2, "http_failures": 3}, "healthy": {"successes": 2}}

    async def begun(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        """An upstream that had traffic, and whose probes do not end."""
        monkeypatch.setattr(module, "GRACE", 0.0)
        bench.release = asyncio.Event()
        bench.set(upstream(TWO, passive=self.PASSIVE | more))
        bench.changes.clear()

    def saw(self, bench: Bench, *runs: tuple[int, int], endpoint: str = "10.0.0.1:80") -> None:
        bench.checker.passive([("u", endpoint, runs, 0, 0.0)])

    async def test_failures_in_a_row_take_an_endpoint_out(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch)
        self.saw(bench, (TCP_FAILURE, 1))
        assert bench.status(A) is Status.MOSTLY_HEALTHY
        self.saw(bench, (TCP_FAILURE, 1))
        assert bench.status(A) is Status.UNHEALTHY
        assert bench.checker.watches[A].why == "seen by a worker: connection failed (tcp_failure 2 of 2)"

    async def test_the_order_within_a_report_counts(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch)
        self.saw(bench, (500, 2), (200, 1), (500, 2))
        assert bench.status(A) is Status.MOSTLY_HEALTHY
        self.saw(bench, (500, 1))
        assert bench.status(A) is Status.UNHEALTHY

    async def test_successes_bring_it_back(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch)
        self.saw(bench, (TIMED_OUT, 7))
        assert bench.status(A) is Status.UNHEALTHY
        self.saw(bench, (200, 1_000_000))
        assert bench.checker.watches[A].health == Health(Status.HEALTHY, success=2)

    async def test_a_status_of_neither_list_means_nothing(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch)
        self.saw(bench, (404, 100))
        assert bench.changes == []

    async def test_a_tcp_check_looks_at_no_status(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch, type="tcp")
        self.saw(bench, (500, 100))
        assert bench.changes == []

    async def test_what_comes_with_the_first_traffic_does_not_count(self, bench: Bench) -> None:
        bench.release = asyncio.Event()
        bench.set(upstream(TWO, passive=self.PASSIVE))
        self.saw(bench, (TCP_FAILURE, 5))
        assert bench.status(A) is Status.HEALTHY

    async def test_reports_of_strangers_are_counted(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.begun(bench, monkeypatch)
        self.saw(bench, (TCP_FAILURE, 5), endpoint="10.9.9.9:80")
        bench.set(upstream(TWO))
        self.saw(bench, (TCP_FAILURE, 5))
        assert bench.checker.counts["unknown"] == 2 and bench.status(A) is Status.HEALTHY

    async def test_a_slow_endpoint_is_left_out(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "WINDOW", 0.01)
        await self.begun(bench, monkeypatch, unhealthy={"latency": {"eject": 1}})
        slow, fast = ("u", "10.0.0.1:80", [(200, 50)], 50, 45_000.0), ("u", "10.0.0.2:80", [(200, 50)], 50, 500.0)
        bench.checker.passive([slow, fast])
        await bench.until(lambda: bench.checker.watches[A].ejected)
        assert bench.checker.watches[A].ejected == {"10.0.0.1:80"}
        assert bench.checker.watches[A].why == "latency of 900 ms, the others' is 10 ms"
        assert bench.status(A) is Status.HEALTHY and bench.checker.watches[B].ejected == set()
        await bench.until(lambda: not bench.checker.watches[A].ejected)


class TestRealEndpoints:
    """Four endpoints, one checker: only what answers stays."""

    async def test_what_hangs_resets_or_fails_is_taken_out_and_what_flaps_follows(self) -> None:
        flapping = [b"HTTP/1.1 200 OK\r\n\r\n"]

        async def flaps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answering(flapping[0])(reader, writer)

        async with (
            listening(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as good,
            listening(silent) as hung,
            listening(resetting) as reset,
            listening(answering(b"HTTP/1.1 503 No\r\n\r\n")) as failing,
            listening(flaps) as flap,
        ):
            secured = ProbeContexts(lambda id: None, lambda id: None, "").of
            run = partial(probe, secured=secured)
            checker = Checker(lambda watch: None, lambda key: None, run, first_within=0.001)
            ports = (good, hung, reset, failing, flap)
            of = upstream(
                {f"127.0.0.1:{port}": 1 for port in ports},
                timeout=0.02,
                healthy={"successes": 1},
                unhealthy={"http_failures": 1},
            )
            checker.set("u", targets_of(of))

            def up() -> set[int]:
                return {key[2] for key, watch in checker.watches.items() if watch.health.is_up}

            async with asyncio.timeout(5):
                while up() != {good, flap}:
                    await asyncio.sleep(0.005)
                flapping[0] = b"HTTP/1.1 500 No\r\n\r\n"
                while up() != {good}:
                    await asyncio.sleep(0.005)
                flapping[0] = b"HTTP/1.1 200 OK\r\n\r\n"
                while up() != {good, flap}:
                    await asyncio.sleep(0.005)
            checker.stop()
            await asyncio.sleep(0)
