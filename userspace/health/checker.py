"""Checker: every target of the node probed at its interval, and what workers saw of it counted. One per node."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from control.model.health import TCP_FAILURE, TIMED_OUT, Passive
from userspace.health.outliers import WINDOW, Outliers
from userspace.health.probe import Result
from userspace.health.state import NEW, Health, Outcome, outcome_of
from userspace.health.targets import MAX_TARGETS, Key, Target
from userspace.health.watch import Row, Watch

MAX_PROBES: Final = 256  # under way at once; the others wait their turn
FIRST_WITHIN: Final = 1.0  # seconds: first probes are spread over this
GRACE: Final = 1.0  # seconds after an upstream's first traffic in which passive checks do not count yet

_SEEN: Final = {TCP_FAILURE: (Outcome.TCP, "connection failed"), TIMED_OUT: (Outcome.TIMEOUT, "timed out")}


class Checker:
    """`on_change(watch)` is called for every change of a state, `on_gone(key)` for targets that are no more.

    `counts`: probes by outcome, `late` (begun more than an interval behind), `overflow` (targets beyond MAX_TARGETS),
    `unknown` (passive reports of endpoints that are not checked).
    """

    def __init__(
        self,
        on_change: Callable[[Watch], None],
        on_gone: Callable[[Key], None],
        run: Callable[[Target], Awaitable[Result]],
        first_within: float = FIRST_WITHIN,
    ) -> None:
        self.watches: dict[Key, Watch] = {}
        self.counts = dict.fromkeys(
            [*(outcome.value for outcome in Outcome), "ignored", "late", "overflow", "unknown"], 0
        )
        self.outliers: dict[str, Outliers] = {}
        self._loop = asyncio.get_running_loop()
        self._on_change = on_change
        self._on_gone = on_gone
        self._run = run
        self._first_within = first_within
        self._keys: dict[str, dict[Key, Target]] = {}
        self._by_endpoint: dict[tuple[str, str], Watch] = {}
        self._slots = asyncio.Semaphore(MAX_PROBES)
        self._turns: dict[str, tuple[int, asyncio.Semaphore]] = {}
        self._counting_from: dict[str, float] = {}
        self._judging: asyncio.TimerHandle | None = None
        self._restored: dict[Key, Health] = {}

    def restore(self, states: Mapping[Key, Health]) -> None:
        """Begin with these states, of a predecessor, for targets that `set` names later."""
        self._restored = dict(states)

    def set(self, upstream: str, targets: Mapping[Key, Target]) -> None:
        """These are the targets of an upstream from now on; those that stay keep their state and their time."""
        old = self._keys.get(upstream, {})
        for key in old.keys() - targets.keys():
            self._forget(key)
        for key, target in targets.items():
            known = self.watches.get(key)
            if known is not None:
                self._replace(known, target)
            elif len(self.watches) >= MAX_TARGETS:
                self.counts["overflow"] += 1
            else:
                self._begin(target)
        if targets:
            self._keys[upstream] = dict(targets)
            concurrency = next(iter(targets.values())).checks.active.concurrency
            if self._turns.get(upstream, (0,))[0] != concurrency:
                self._turns[upstream] = (concurrency, asyncio.Semaphore(concurrency))
        else:
            self._keys.pop(upstream, None)
            self._turns.pop(upstream, None)
            self._counting_from.pop(upstream, None)
            self.outliers.pop(upstream, None)

    def unclaimed(self, upstream: str) -> list[Key]:
        """Return, and forget, the restored states of an upstream that none of its targets took."""
        keys = [key for key in self._restored if key[0] == upstream]
        for key in keys:
            del self._restored[key]
        return keys

    def restored(self) -> frozenset[str]:
        """The upstreams with states that no target took yet."""
        return frozenset(key[0] for key in self._restored)

    def passive(self, seen: Iterable[tuple[str, str, Sequence[tuple[int, int]], int, float]]) -> None:
        """Count what a worker saw: (upstream, endpoint, [(status, TCP_FAILURE or TIMED_OUT; how often), ...], answers,
        their latencies together in ms).

        APISIX makes a checker after an upstream's first request; what comes within GRACE of it does not count here
        either.
        """
        now = self._loop.time()
        for upstream, endpoint, runs, answers, total_ms in seen:
            watch = self._by_endpoint.get((upstream, endpoint))
            passive = watch.target.checks.passive if watch is not None else None
            if watch is None or passive is None:
                self.counts["unknown"] += 1
                continue
            if self._counting_from.setdefault(upstream, now + GRACE) > now:
                continue
            for code, times in runs:
                self._count(watch, passive, code, times)
            if passive.latency is not None and answers:
                self.outliers.setdefault(upstream, Outliers()).add(endpoint, answers, total_ms)
                if self._judging is None:
                    self._judging = self._loop.call_later(WINDOW, self._judge)

    def rows(self) -> list[Row]:
        """What there is to say of all targets."""
        return [watch.row() for watch in self.watches.values()]

    def stop(self) -> None:
        """Probe no more."""
        for watch in self.watches.values():
            watch.stop()
        if self._judging is not None:
            self._judging.cancel()

    # Targets come and go.

    def _begin(self, target: Target) -> None:
        watch = self.watches[target.key] = Watch(target, self._restored.pop(target.key, NEW))
        for endpoint in target.endpoints:
            self._by_endpoint[target.upstream, endpoint] = watch
        watch.due = self._loop.time() + random.uniform(0, min(self._first_within, watch.interval))
        self._schedule(watch)
        self._on_change(watch)

    def _replace(self, watch: Watch, target: Target) -> None:
        old, watch.target = watch.target, target
        if old == target:
            return
        if _question(old) != _question(target):
            # What another question was answered with says nothing.
            watch.health, watch.why, watch.ejected = NEW, "checked differently from now on", frozenset()
            watch.due = self._loop.time() + random.uniform(0, min(self._first_within, watch.interval))
            if watch.probing is not None:
                watch.probing.cancel()
                watch.probing = None
        self._lose(watch, set(old.endpoints) - set(target.endpoints))
        for endpoint in target.endpoints:
            self._by_endpoint[target.upstream, endpoint] = watch
        watch.due = min(watch.due, self._loop.time() + watch.interval)
        if watch.probing is None:
            self._schedule(watch)
        self._on_change(watch)

    def _forget(self, key: Key) -> None:
        watch = self.watches.pop(key, None)
        if watch is None:
            return
        watch.stop()
        self._lose(watch, watch.target.endpoints)
        self._on_gone(key)

    def _lose(self, watch: Watch, endpoints: Iterable[str]) -> None:
        for endpoint in endpoints:
            known_by = (watch.target.upstream, endpoint)
            if self._by_endpoint.get(known_by) is watch:
                del self._by_endpoint[known_by]

    # Probing.

    def _schedule(self, watch: Watch) -> None:
        if watch.timer is not None:
            watch.timer.cancel()
        watch.timer = self._loop.call_at(watch.due, self._start, watch)

    def _start(self, watch: Watch) -> None:
        watch.timer = None
        watch.probing = self._loop.create_task(self._probe(watch))

    async def _probe(self, watch: Watch) -> None:
        target = watch.target
        async with self._turns[target.upstream][1], self._slots:
            if self._loop.time() > watch.due + watch.interval:
                self.counts["late"] += 1
            result = await self._run(target)
        watch.probing = None
        self.counts[result.outcome.value if result.outcome is not None else "ignored"] += 1
        watch.due = max(self._loop.time(), watch.due + watch.interval)
        self._schedule(watch)
        if result.outcome is not None:
            self._take(watch, result.outcome, result.why, False)

    def _take(self, watch: Watch, outcome: Outcome, why: str, is_passive: bool) -> bool:
        was_up = watch.health.is_up
        if not watch.take(outcome, why, is_passive):
            return False
        if watch.health.is_up != was_up and watch.probing is None:
            watch.due = min(watch.due, self._loop.time() + watch.interval)
            self._schedule(watch)
        self._on_change(watch)
        return True

    # What workers saw.

    def _count(self, watch: Watch, passive: Passive, code: int, times: int) -> None:
        outcome, why = _SEEN.get(code) or (outcome_of(passive.limits, code), f"status {code}")
        if outcome is None or (passive.is_tcp and code >= 0):
            return
        for _ in range(times):  # a state settles within 254 of them
            if not self._take(watch, outcome, f"seen by a worker: {why}", True):
                return

    def _judge(self) -> None:
        """End the window of every upstream whose latencies are watched."""
        now = self._loop.time()
        is_used = False
        for upstream, outliers in self.outliers.items():
            watches = [self.watches[key] for key in self._keys.get(upstream, {}) if key in self.watches]
            passive = watches[0].target.checks.passive if watches else None
            if passive is None or passive.latency is None:
                continue
            is_used = True
            endpoints = [endpoint for watch in watches for endpoint in watch.target.endpoints]
            fresh = outliers.judge(passive.latency, endpoints, now)
            out = outliers.out(now)
            for watch in watches:
                ejected = out.intersection(watch.target.endpoints)
                if ejected != watch.ejected:
                    watch.ejected = ejected
                    watch.why = next((fresh[each] for each in ejected if each in fresh), "latency: let in again")
                    self._on_change(watch)
        self._judging = self._loop.call_later(WINDOW, self._judge) if is_used else None


def _question(target: Target) -> tuple[object, ...]:
    """What its state answers: how probes ask, and whether exchanges count."""
    active = target.checks.active
    asked = (active.type, active.method, active.path, active.body, active.headers, active.verify, target.server)
    return (*asked, target.checks.passive is not None)
