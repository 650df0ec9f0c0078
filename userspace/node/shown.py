"""Shown: the text of the metrics for those who come through a worker: clients, who may come often."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

SHARE: Final = 10
"""A text is given again for so many times what it took of the processor: making it takes the node at most a tenth."""
MAX_BYTES: Final = 16 << 20


class Shown:
    """`fresh` waits until the workers' counts are new, `render` makes the text and holds up the loop meanwhile.
    `spent`: seconds that this thread took of the processor."""

    def __init__(
        self,
        fresh: Callable[[], Awaitable[None]],
        render: Callable[[], bytes],
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._fresh = fresh
        self._render = render
        self._clock = clock
        self._spent = spent
        self._making = asyncio.Lock()
        self._text: str | None = None
        self._until = 0.0

    async def text(self) -> str | None:
        """Return the metrics; None when they are longer than MAX_BYTES, which no worker is sent."""
        async with self._making:
            if self._clock() >= self._until:
                await self._fresh()
                began = self._spent()
                text = self._render()
                self._text = text.decode() if len(text) <= MAX_BYTES else None
                self._until = self._clock() + SHARE * (self._spent() - began)
            return self._text
