"""Who writes the access log of spliced requests (userspace/spliced): kept running, told whose they are, counted."""

import asyncio
import json
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from pathlib import Path

from userspace.config.settings import Settings
from userspace.node.child import Child
from userspace.node.splice_abi import Splice
from userspace.node.splice_accounts import SpliceAccounts
from userspace.wire import Message

MAX_LOOKED_UP = 64  # splices in a row; other work comes in between
MAX_UNTOLD = 4096  # ends that wait while nobody is there to be told, 1 KiB each


class SpliceLines:
    """ring: where it is pinned. state: a file for what a writer leaves to the next. `start` from the event loop."""

    def __init__(
        self,
        settings: Settings,
        user: str | None,
        ring: Path,
        state: Path,
        lookup: Callable[[int], tuple[Splice, bytes]],
        accounts: SpliceAccounts,
    ) -> None:
        self._lookup = lookup
        self._accounts = accounts
        self._living = self._departed = (0, 0)
        arguments = ["--settings", json.dumps(settings.to_json()), "--ring", str(ring), "--state", str(state)]
        arguments += ["--user", user] if user else []
        self._child = Child(
            "log of splices", "userspace.spliced.process", arguments, self._started, self._received, self._ended
        )
        self._task: asyncio.Task[None] | None = None
        self._untold = deque[Message]()
        self._overflown = 0

    @property
    def lines(self) -> int:
        return self._departed[0] + self._living[0]

    @property
    def dropped(self) -> int:
        """Lines that were lost on the way from the kernel, or that the sink did not take."""
        return self._departed[1] + self._living[1] + self._overflown

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def start(self) -> None:
        self._accounts.on_new = lambda row: self._child.send({"type": "owners", "owners": [row]})
        self._task = asyncio.create_task(self._child.keep())

    async def stop(self) -> None:
        """End it: what it has not finished, the next one does."""
        self._accounts.on_new = None
        await self._child.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def ended(self, id: int, splice: Splice, why: str) -> None:
        """Pass on that the node has ended a splice: see Splicing.on_end."""
        message = {"type": "ended", "id": id, "splice": _text(bytes(splice)), "why": why, "at_ns": time.monotonic_ns()}
        if self._child.is_there:
            self._child.send(message)
        elif len(self._untold) < MAX_UNTOLD:
            self._untold.append(message)
        else:
            self._overflown += 1

    def _started(self) -> None:
        self._child.send({"type": "owners", "owners": self._accounts.rows()})
        while self._untold:
            self._child.send(self._untold.popleft())

    def _received(self, message: Message) -> None:
        if message["type"] == "counted":
            self._living = message["lines"], message["dropped"]
        elif message["type"] == "silent":
            looked_up = [(id, *self._lookup(id)) for id in message["ids"][:MAX_LOOKED_UP]]
            found = [(id, _text(bytes(splice)), _text(said)) for id, splice, said in looked_up]
            self._child.send({"type": "splices", "splices": found})

    def _ended(self) -> None:
        self._departed, self._living = (self.lines, self.dropped), (0, 0)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
