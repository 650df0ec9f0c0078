"""Resolver: the addresses of names, asked for again when their TTL has passed. What is known last stays on failure."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from userspace.config.names import MAX_ADDRESSES

MAX_NAMES: Final = 10_000  # names beyond have no address
MAX_QUESTIONS: Final = 64  # under way at once
# Seconds. What says 0 (/etc/hosts) is looked at once a second; what says a week, once an hour.
LEAST_TTL, MOST_TTL = 1.0, 3600.0
FIRST_RETRY, LAST_RETRY = 1.0, 30.0


class Answer(NamedTuple):
    """Addresses in no order; ttl in seconds."""

    addresses: tuple[str, ...]
    ttl: float


class ResolveError(Exception):
    """A name has no address, or nobody said so; `str` is the reason."""


Ask = Callable[[str], Awaitable[Answer]]


@dataclass(slots=True, eq=False)
class _Name:
    addresses: tuple[str, ...] | None = None  # None: never answered
    failures: int = 0  # in a row
    timer: asyncio.TimerHandle | None = None
    asking: "asyncio.Task[None] | None" = None


class Resolver:
    """`on_change(name, addresses, why)` is called for the first answer of each name and for each other one after it;
    () when the first ended in vain. `counts`: answers, failures, changes, overflow (names beyond MAX_NAMES)."""

    def __init__(
        self, ask: Ask, on_change: Callable[[str, tuple[str, ...], str], None], ttl: float | None = None
    ) -> None:
        self.counts = {"answers": 0, "failures": 0, "changes": 0, "overflow": 0}
        self._ask = ask
        self._on_change = on_change
        self._ttl = ttl
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, _Name] = {}
        self._restored: dict[str, tuple[str, ...]] = {}
        self._slots = asyncio.Semaphore(MAX_QUESTIONS)

    @property
    def failing(self) -> int:
        """How many names were asked for in vain the last time."""
        return sum(1 for name in self._names.values() if name.failures)

    def restore(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Begin with these addresses, of a predecessor, for names that `want` names later."""
        self._restored = dict(names)

    def unclaimed(self) -> list[str]:
        """Return, and forget, the restored names that nobody wanted."""
        names, self._restored = list(self._restored), {}
        return names

    def want(self, names: Set[str]) -> None:
        """These are the names to know from now on."""
        for gone in self._names.keys() - names:
            self._forget(self._names.pop(gone))
        for name in names - self._names.keys():
            if len(self._names) >= MAX_NAMES:
                self.counts["overflow"] += 1
                self._on_change(name, (), f"more than {MAX_NAMES} names")
                continue
            self._names[name] = _Name(self._restored.pop(name, None) or None)
            self._start(name)

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """What is known of a name: see `on_change`; None while it is not answered."""
        known = self._names.get(name)
        return known.addresses if known is not None else None

    def stop(self) -> None:
        """Ask no more."""
        for name in self._names.values():
            self._forget(name)
        self._names.clear()

    def _forget(self, known: _Name) -> None:
        if known.timer is not None:
            known.timer.cancel()
        if known.asking is not None:
            known.asking.cancel()

    def _start(self, name: str) -> None:
        known = self._names[name]
        known.timer = None
        known.asking = self._loop.create_task(self._resolve(name, known))

    async def _resolve(self, name: str, known: _Name) -> None:
        async with self._slots:
            try:
                answer = await self._ask(name)
            except ResolveError as error:
                self._failed(name, known, str(error))
            else:
                self._answered(name, known, answer)
        known.asking = None

    def _answered(self, name: str, known: _Name, answer: Answer) -> None:
        self.counts["answers"] += 1
        known.failures = 0
        ttl = self._ttl if self._ttl is not None else answer.ttl
        known.timer = self._loop.call_later(min(max(ttl, LEAST_TTL), MOST_TTL), self._start, name)
        # Sorted: name servers turn their answers round, and that is no change.
        addresses = tuple(sorted(set(answer.addresses)))[:MAX_ADDRESSES]
        if addresses != known.addresses:
            self.counts["changes"] += known.addresses is not None
            known.addresses = addresses
            self._on_change(name, addresses, "")

    def _failed(self, name: str, known: _Name, why: str) -> None:
        self.counts["failures"] += 1
        delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(known.failures, 10))
        known.failures += 1
        known.timer = self._loop.call_later(delay, self._start, name)
        if known.addresses is None:
            known.addresses = ()
            self._on_change(name, (), why)
