"""Splicing: asks the node to carry connections in the kernel, one question per connection, and hears what it says.

A question names the two sockets and how many bytes, the tail, are still to be written to the client. Until the answer
both are silent and unread. `spliced`: the worker writes the tail and closes its descriptors; the node has its own.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from userspace.http.footprint import PATH, Guard, Key
from userspace.obs.counters import Counters
from userspace.proxy.splice_wire import SpliceWire

ANSWER_SECONDS: Final = 2.0
MAX_OPEN: Final = 64
"""Questions at a time: each is a response that waits for all before it."""
QUIET_SECONDS: Final = 10.0
"""A node that did not answer one question in time is asked no other for so long."""
MAX_DECISIONS: Final = 4096
MAX_PATHS: Final = 256
"""Of one decision; further ones are handed back, each time."""

_PATH: Final = PATH.bit_length() - 1


class Answer(Enum):
    """SPLICED. REFUSED: nothing has happened. GONE: the node has died, whatever it did. LATE: it did not answer, and
    may still do either: what was asked must come true on this side, since afterwards nobody can undo it."""

    SPLICED = "spliced"
    REFUSED = "refused"
    GONE = "gone"
    LATE = "late"


Answered = Callable[[Answer, str], None]
"""Told once: the answer, and the reason of a refusal."""


class Splicing:
    """One per worker that has such a wire. `adopt` takes the connections that come back, with what is known of them."""

    __slots__ = (
        *("_adopt", "_counters", "_covered", "_key", "_loop", "_open", "_quiet_until", "_tag", "_trouble", "_wire"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        counters: Counters,
        adopt: Callable[[socket.socket, Mapping[str, Any]], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._counters = counters
        self._adopt = adopt
        self._trouble = trouble
        self._key: Key | None = None
        self._tag = 0
        self._quiet_until = 0.0
        self._open: dict[int, tuple[Answered, str, asyncio.TimerHandle]] = {}
        # Paths by decision, the decision that was longest not met first.
        self._covered: OrderedDict[int, set[int]] = OrderedDict()
        self._wire = SpliceWire(loop, sock, self._take, self._gone, trouble)

    @property
    def key(self) -> Key | None:
        """What guards are made with; None while nothing can be asked."""
        if not self._wire.is_open or len(self._open) >= MAX_OPEN or self._loop.time() < self._quiet_until:
            return None
        return self._key

    def take_key(self, message: Mapping[str, Any]) -> None:
        """Go by this key from now on. It comes behind the configuration that it stands for."""
        key = Key(int(message["seed"]), int(message["factor"]), int(message["epoch"]), int(message["edition"]))
        if self._key is None or key.epoch != self._key.epoch:
            self._covered.clear()
        self._key = key

    def ask(self, question: Mapping[str, object], guard: Guard | None, fds: Sequence[int], answered: Answered) -> bool:
        """Ask; False when that is not possible now, and `answered` is never told. `fds`: the client's, the endpoint's.

        With a guard it is about requests, else about bytes.
        """
        key = self.key
        if key is None:
            return False
        self._tag += 1
        tag, kind = self._tag, "opaque" if guard is None else "guarded"
        message = {**question, "type": "splice", "tag": tag, "kind": kind, "edition": key.edition}
        if guard is not None:
            message["guard"] = {
                "mask": guard.mask,
                "hashes": [str(value) for value in guard.hashes],
                "extra_name": str(guard.extra_name),
                "decision": str(guard.decision),
            }
        if not self._wire.send(message, fds):
            return False
        self._counters.totals["splices_asked"] += 1
        timer = self._loop.call_later(ANSWER_SECONDS, self._answer, tag, Answer.LATE, "")
        self._open[tag] = answered, kind, timer
        return True

    def cover(self, guard: Guard) -> None:
        """Its path is covered by its decision: tell the node, unless that is the only one so far."""
        covered = self._covered
        path = guard.hashes[_PATH]
        paths = covered.get(guard.decision)
        if paths is None:
            if len(covered) >= MAX_DECISIONS:
                covered.popitem(last=False)
            covered[guard.decision] = {path}
            return
        covered.move_to_end(guard.decision)
        if path in paths or len(paths) >= MAX_PATHS:
            return
        for new in (path,) if len(paths) > 1 else (path, *paths):
            if not self._wire.send({"type": "covered", "decision": str(guard.decision), "path": str(new)}):
                return
        paths.add(path)

    def close(self) -> None:
        """Nothing more is asked; open questions count as those of a node that is gone."""
        self._wire.close()

    # The node's words.

    def _take(self, message: Mapping[str, Any], sockets: list[socket.socket]) -> None:
        kind = message.get("type")
        if kind == "spliced":
            self._answer(message["tag"], Answer.SPLICED, "")
        elif kind == "refused":
            self._answer(message["tag"], Answer.REFUSED, str(message["reason"]))
        elif kind == "back" and len(sockets) == 1:
            self._counters.totals["splices_back"] += 1
            self._adopt(sockets[0], message)
        else:
            raise ValueError(f"unknown message {kind} with {len(sockets)} descriptors")

    def _answer(self, tag: int, answer: Answer, reason: str) -> None:
        found = self._open.pop(tag, None)
        if found is None:
            return  # it came late
        answered, kind, timer = found
        timer.cancel()
        totals = self._counters.totals
        if answer is Answer.SPLICED:
            totals["splices_" + kind] += 1
        elif answer is Answer.REFUSED:
            totals["splices_refused"] += 1
        else:
            totals["splices_unanswered"] += 1
            self._quiet_until = self._loop.time() + QUIET_SECONDS
        answered(answer, reason)

    def _gone(self) -> None:
        for tag in list(self._open):
            try:
                self._answer(tag, Answer.GONE, "")
            except Exception as error:  # the others wait too
                self._trouble(f"splicing: {type(error).__name__}: {error}")
