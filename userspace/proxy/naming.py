"""Naming: the address of any name, for whoever in the worker has one. The node's checker asks DNS, nobody else does."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from userspace.errors import LbError, Retry, Source

ASK_AGAIN: Final = 1.0  # seconds until a question without an answer is asked once more, if anybody still wants to know


class _Question:
    __slots__ = ("answer", "asked_at")

    def __init__(self, answer: "asyncio.Future[None]") -> None:
        self.answer = answer
        self.asked_at = float("-inf")


class Naming:
    """`addresses`: by name, () for one that has none; what is absent was not answered yet, and can be waited for. `ask`
    has the checker resolve a name from now on."""

    __slots__ = ("_addresses", "_loop", "_questions", "ask")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: Mapping[str, tuple[str, ...]],
        ask: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.ask = ask
        self._loop = loop
        self._addresses = addresses
        self._questions: dict[str, _Question] = {}

    async def address_of(self, name: str) -> str:
        """Return one of its addresses; wait for the first answer. Raises LbError when there is none. Whoever waits has
        a time-out of its own."""
        if name not in self._addresses:
            question = self._questions.get(name)
            if question is None:
                question = self._questions[name] = _Question(self._loop.create_future())
            now = self._loop.time()
            if now - question.asked_at >= ASK_AGAIN:
                question.asked_at = now
                self.ask(name)
            await asyncio.shield(question.answer)
        found = self._addresses.get(name)
        if not found:
            raise LbError("resolve_failed", Source.UPSTREAM, Retry.ALWAYS, name)
        return random.choice(found)

    def answered(self, names: Iterable[str]) -> None:
        """`addresses` has news of these."""
        for name in names:
            question = self._questions.pop(name, None) if name in self._addresses else None
            if question is not None:
                question.answer.set_result(None)
