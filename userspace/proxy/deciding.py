"""The rewrite and access phases of one exchange, carried through the waits that plugins ask for."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from userspace.plugins.outcome import FAILED, Asked, Reply
from userspace.plugins.run import Decision

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared


class Deciding:
    """Calls `done` once, with the answer or with None to go on: at once if no plugin waits."""

    __slots__ = ("_decision", "_done", "_is_over", "_shared", "_timer")

    def __init__(self, shared: "Shared", decision: Decision, done: Callable[[Reply | None], None]) -> None:
        self._shared = shared
        self._decision = decision
        self._done = done
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def go_on(self, asked: Any = None) -> None:
        """Up to the next wait, or the end. `asked`: what somebody else answered."""
        self._timer = None
        if self._is_over:
            return
        reply: Reply | None = None
        try:
            wait = self._decision.send(asked)
            if isinstance(wait, Asked):
                wait.begin(self.go_on)
            else:
                self._timer = self._shared.loop.call_later(wait.seconds, self.go_on)
            return
        except StopIteration as end:
            reply = end.value
        except Exception as error:
            self._shared.failed_within(error)
            reply = FAILED
        self._done(reply)

    def cancel(self) -> None:
        """Nobody waits for the decision any more."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
