"""The node's checker: one process that probes endpoints and resolves names for all workers of the machine."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from userspace.config.settings import Settings
from userspace.health.follow import CONFIGURATION
from userspace.node.child import Child
from userspace.node.verdicts import Verdicts
from userspace.wire import Message

log = logging.getLogger("unilb.health")

MAX_EVENTS: Final = 100  # lines on the log per message of the checker; the rest are counted in one


class Names(Protocol):
    """Other names for what the checker checks. Rows as in verdicts.Endpoint; `shown` takes (upstream, ip, port) too."""

    def shown(self, row: Sequence[Any]) -> list[Any]:
        """Return a row of the checker's in the names that the node uses."""

    def probed(self, row: Sequence[Any]) -> list[Any] | None:
        """Return it in the checker's again; None when there is no such thing any more."""


class Checking:
    """`tell(message)` reaches every worker. `objects()` is the whole configuration, its revision with it.

    What the checker counted is kept over its deaths: `counts` is of all of them.
    """

    def __init__(
        self,
        settings: Settings,
        user: str | None,
        tell: Callable[[Message], None],
        objects: Callable[[], tuple[int, Mapping[str, bytes]]],
        names: Names | None = None,
    ) -> None:
        self.verdicts = Verdicts()
        self._tell = tell
        self._objects = objects
        self._names = names
        self._living: Message = {}
        self._staples: dict[str, str] = {}  # OCSP responses by ssl id, in base64
        self._departed: dict[str, dict[str, int]] = {}
        arguments = ["--settings", json.dumps(settings.to_json()), *(["--user", user] if user else [])]
        self._child = Child(
            "checker", "userspace.health.process", arguments, self._started, self._received, self._ended
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def restarts(self) -> int:
        """How often the checker was replaced."""
        return self._child.restarts

    @property
    def pid(self) -> int | None:
        """The checker's process; None before the first."""
        return self._child.pid

    def start(self) -> None:
        """Start the checker; it is fed when it is there."""
        self._task = asyncio.create_task(self._child.keep())

    async def stop(self) -> None:
        """End the checker."""
        await self._child.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def changes(self, revision: int, changes: Sequence[tuple[str, bytes | None]]) -> None:
        """Pass on a batch of changes of the configuration."""
        listed = [[k, v.decode() if v is not None else None] for k, v in changes if k.startswith(CONFIGURATION)]
        if listed:
            self._child.send({"type": "changes", "revision": revision, "changes": listed})

    def pass_on(self, message: Message) -> None:
        """Pass on what a worker saw, or a name that it wants resolved."""
        self._child.send(message)

    def greeting(self) -> list[Message]:
        """What a new worker has to know."""
        staples: list[Message] = [{"type": "staples", "staples": self._staples}] if self._staples else []
        return [self.verdicts.names_message(), self.verdicts.down_message(), *staples]

    def ask_counters(self) -> None:
        """Have fresh counters for a scrape."""
        self._child.send({"type": "counters?"})

    @property
    def failing_names(self) -> int:
        """How many names were asked for in vain the last time."""
        failing: int = self._living.get("failing_names", 0)
        return failing

    def counts(self, what: str) -> dict[str, int]:
        """The sums of "checks" or "names"."""
        sums = dict(self._departed.get(what, {}))
        for name, count in self._living.get(what, {}).items():
            sums[name] = sums.get(name, 0) + count
        return sums

    def _started(self) -> None:
        revision, objects = self._objects()
        listed = [[key, value.decode()] for key, value in objects.items() if key.startswith(CONFIGURATION)]
        rows, names = [list(endpoint) for endpoint in self.verdicts], self.verdicts.names_message()["names"]
        if self._names is not None:
            rows = [row for shown in rows if (row := self._names.probed(shown)) is not None]
        self._child.send({"type": "states", "rows": rows, "names": names})
        self._child.send({"type": "snapshot", "revision": revision, "objects": listed})

    def _received(self, message: Message) -> None:
        match message["type"]:
            case "health":
                rows, gone = message["rows"], message["gone"]
                if self._names is not None:
                    rows, gone = [[self._names.shown(row) for row in part] for part in (rows, gone)]
                changed, events = self.verdicts.take(rows, gone)
                if changed:
                    self._tell(self.verdicts.down_message(changed))
                self._log(events)
            case "names":
                events = self.verdicts.take_names(message["names"])
                self._tell({"type": "names", "names": message["names"]})
                self._log(events)
            case "staples":
                self._staples.update(message["staples"])
                self._staples = {id: response for id, response in self._staples.items() if response}
                self._tell(message)
            case "counters":
                self._living = message
            case other:
                log.debug("checker: %s", other)

    def _ended(self) -> None:
        for what in ("checks", "names"):
            self._departed[what] = self.counts(what)
        self._living = {}

    def _log(self, events: Sequence[Any]) -> None:
        for event in events[:MAX_EVENTS]:
            log.warning("%s", event)
        if len(events) > MAX_EVENTS:
            log.warning("and %d more", len(events) - MAX_EVENTS)
