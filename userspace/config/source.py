"""Source: the store's configuration, listed once and then followed, through outages and compactions."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from control.store.base import Change, Compacted, Replaced, Store, StoreError

FIRST_DELAY: Final = 0.1  # seconds
LONGEST_DELAY: Final = 1.0  # a store that returns is followed again within about this


@dataclass(frozen=True, slots=True)
class Update:
    """What to change to be at `revision`: (key, new value or None for a deleted key), at most one per key."""

    revision: int
    changes: tuple[tuple[str, bytes | None], ...]


OnUpdate = Callable[[Update], Awaitable[None]]


class Source:
    """Follows `prefixes` of a store. While the store is away, what was read last stays.

    `objects` and `revision` are everything read so far; each Update has been applied to them when it is delivered.
    `last_error` is "" while in contact. `lists` and `outages` count. `held`: prefixes whose objects stay although the
    store has none of them, see `_hold`. `opened(key, value)` is what of a value is kept: secrets are stored encrypted.
    """

    def __init__(
        self,
        store: Store,
        prefixes: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        opened: Callable[[str, bytes], bytes] = lambda key, value: value,
    ) -> None:
        self.objects: dict[str, bytes] = {}
        self.revision = 0
        self.last_error = ""
        self.lists = 0
        self.outages = 0
        self.held: frozenset[str] = frozenset()
        self._store = store
        self._prefixes = tuple(prefixes)
        self._clock = clock
        self._sleep = sleep
        self._opened = opened
        self._last_contact: float | None = None
        self._listed_at: dict[str, int] = {}
        self._is_listed = False
        self._is_following = False
        self._was_replaced = False

    @property
    def age(self) -> float | None:
        """Seconds since the store was last heard of; None when it never was."""
        return None if self._last_contact is None else self._clock() - self._last_contact

    async def run(self, on_update: OnUpdate) -> None:
        """Follow until cancelled; await `on_update` for the first list (even an empty one) and for each change.

        After an outage it goes on from the last revision. Compacted history, and a store that was replaced, mean
        listing again; what differs from `objects` is delivered as one Update. What `on_update` raises ends it.
        """
        delay = FIRST_DELAY
        while True:
            self._is_following = False
            try:
                if not self._is_listed:
                    await self._list(on_update)
                await self._watch(on_update)
            except Compacted as error:
                self._is_listed = False
                self._was_replaced |= isinstance(error, Replaced)
                self.last_error = str(error) or "compacted"
            except StoreError as error:
                self.last_error = str(error) or type(error).__name__
                self.outages += 1
            if self._is_following:
                delay = FIRST_DELAY
            # Jitter: gateways that lost the same store do not all come back in the same instant.
            await self._sleep(delay * random.uniform(0.5, 1))
            delay = min(LONGEST_DELAY, delay * 2)

    async def _list(self, on_update: OnUpdate) -> None:
        """Prefixes are read one after the other, each at its own revision: the watch starts behind the earliest, and
        what a later list already holds is passed over then. Order them referrers first: what they refer to is then
        at least as new."""
        listed: dict[str, bytes] = {}
        revisions: dict[str, int] = {}
        for prefix in self._prefixes:
            entries, revisions[prefix] = await self._store.range(prefix)
            self._heard()
            for entry in entries:
                listed[entry.key] = self._opened(entry.key, entry.value)
        self.lists += 1
        self._was_replaced |= min(revisions.values()) < self.revision
        listed |= self._hold(listed)
        changes: list[tuple[str, bytes | None]] = [(key, None) for key in self.objects if key not in listed]
        changes += [(key, value) for key, value in listed.items() if self.objects.get(key) != value]
        self.objects = listed
        self.revision = min(revisions.values())
        self._listed_at = {prefix: at for prefix, at in revisions.items() if at > self.revision}
        self._is_listed = True
        if changes or self.lists == 1:
            await on_update(Update(self.revision, tuple(changes)))

    def _hold(self, listed: Mapping[str, bytes]) -> dict[str, bytes]:
        """What stays although it is not in the store.

        A store that is another than before, or went back, and has nothing below a prefix where there was something, was
        wiped rather than edited: what we have below that prefix stays until the store has anything there.
        """
        empty = {prefix for prefix in self._prefixes if not any(key.startswith(prefix) for key in listed)}
        known = {prefix for prefix in empty if any(key.startswith(prefix) for key in self.objects)}
        self.held = frozenset(known if self._was_replaced else known & self.held)
        self._was_replaced = False
        return {key: value for key, value in self.objects.items() if key.startswith(tuple(self.held))}

    def _released(self, changes: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """The objects that go because `changes` put something below the prefix that they were held at."""
        filled = {
            prefix
            for prefix in self.held
            if any(key.startswith(prefix) for key, value in changes.items() if value is not None)
        }
        self.held -= filled
        return {key: None for key in self.objects if key.startswith(tuple(filled))}

    async def _watch(self, on_update: OnUpdate) -> None:
        async with aclosing(self._store.watch(self._prefixes, self.revision + 1)) as batches:
            async for batch in batches:
                self._heard()
                self._is_following = True
                changes = {change.key: self._value(change) for change in batch.changes if self._is_news(change)}
                if self.held:
                    changes = {**self._released(changes), **changes}
                for key, value in changes.items():
                    if value is None:
                        self.objects.pop(key, None)
                    else:
                        self.objects[key] = value
                self.revision = max(self.revision, batch.revision)
                if changes:
                    await on_update(Update(self.revision, tuple(changes.items())))

    def _value(self, change: Change) -> bytes | None:
        return None if change.value is None else self._opened(change.key, change.value)

    def _is_news(self, change: Change) -> bool:
        """False for what the list of its prefix held already."""
        return not any(
            change.key.startswith(prefix) and change.mod_revision <= at for prefix, at in self._listed_at.items()
        )

    def _heard(self) -> None:
        self._last_contact = self._clock()
        self.last_error = ""
