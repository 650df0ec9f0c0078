"""An outbox that keeps what it is given, and calls back when it is told to."""

from collections.abc import Callable

from userspace.plugins.jobs import Job


class Kept:
    def __init__(self) -> None:
        self.dropped = 0
        self.is_closing = False
        self.jobs: list[Job] = []
        self.waiting: list[Waiting] = []

    def post(self, job: Job, entries: int) -> bool:
        self.jobs.append(job)
        return True

    def later(self, seconds: float, callback: Callable[[], None]) -> "Waiting":
        self.waiting.append(Waiting(seconds, callback, self))
        return self.waiting[-1]

    def fire(self) -> float:
        """Call back the first; return how long it was to wait."""
        first = self.waiting.pop(0)
        first.callback()
        return first.seconds


class Waiting:
    def __init__(self, seconds: float, callback: Callable[[], None], outbox: Kept) -> None:
        self.seconds, self.callback, self._outbox = seconds, callback, outbox

    def cancel(self) -> None:
        if self in self._outbox.waiting:
            self._outbox.waiting.remove(self)
