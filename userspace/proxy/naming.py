"""Naming: the address of a name that was not known when its upstream was compiled, as soon as the checker says it."""

import asyncio
import random
from collections.abc import Iterable, Mapping

from userspace.errors import LbError, Retry, Source


class Naming:
    """`addresses`: by name, () for one that has none; what is absent was not answered yet, and can be waited for."""

    __slots__ = ("_addresses", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, addresses: Mapping[str, tuple[str, ...]]) -> None:
        self._loop = loop
        self._addresses = addresses
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def address_of(self, name: str) -> str:
        """Return one of its addresses; wait for the first answer. Raises LbError when there is none. Whoever waits has
        a time-out of its own."""
        if name not in self._addresses:
            waiting = self._waiting.get(name)
            if waiting is None:
                waiting = self._waiting[name] = self._loop.create_future()
            await asyncio.shield(waiting)
        found = self._addresses.get(name)
        if not found:
            raise LbError("resolve_failed", Source.UPSTREAM, Retry.ALWAYS, name)
        return random.choice(found)

    def answered(self, names: Iterable[str]) -> None:
        """`addresses` has news of these."""
        for name in names:
            waiting = self._waiting.pop(name, None)
            if waiting is not None:
                waiting.set_result(None)
