"""RedisCluster: puts each question to the node that has its key. Nodes fail one by one: the others go on answering.

Which node has which slots is asked of any node, at first and whenever an answer shows that it has changed: MOVED names
the new owner, and a node that is lost may have a successor. While nobody has told yet, questions wait.
"""

from binascii import crc_hqx
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from userspace.plugins.counting import SINGLE, Address, Answer, Script, Servers
from userspace.proxy.redis_question import Lost, Question, Sent

SLOTS: Final = 16384
MAX_HOPS: Final = 3
"""Times that a question is sent on: nodes that send each other's questions around are broken."""
MAX_ASKED: Final = 16
"""Nodes that are asked in turn who has what, until one says."""
LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at who has what."""

Range = tuple[int, int, Address]
"""(first slot, last slot, node)."""


def slot_of(key: bytes) -> int:
    """Return the slot of a key: CRC16/XMODEM of it, or of what the first pair of braces holds, if anything."""
    _, brace, rest = key.partition(b"{")
    tag, end, _ = rest.partition(b"}")
    return crc_hqx(tag if brace and end and tag else key, 0) % SLOTS


@dataclass(frozen=True, slots=True)
class Around:
    """What RedisCounts does for a cluster. `put` has one node asked; `look_up` asks it who has what; `fail` answers
    questions that nobody could say, `refuse` without having asked."""

    now: Callable[[], float]
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    put: Callable[[Servers, Question], None]
    look_up: Callable[[Servers], Awaitable[Iterable[Range]]]
    fail: Callable[[Servers, Sequence[Question], Exception], None]
    refuse: Callable[[Question], None]


class RedisCluster:
    def __init__(self, servers: Servers, around: Around, max_waiting: int) -> None:
        self.waiting: deque[ClusterQuestion] = deque()
        self._servers = servers
        self._around = around
        self._max_waiting = max_waiting
        self._ranges: list[tuple[int, int, Servers]] = []
        self._nodes: dict[Address, Servers] = {}
        self._is_looking = False
        self._looks_from = float("-inf")

    @property
    def is_idle(self) -> bool:
        return not self._is_looking and self._around.now() >= self._looks_from

    def put(self, question: "ClusterQuestion") -> None:
        owner = self._owner(question.key)
        if owner is not None:
            self._around.put(owner, question)
            return
        self._look()
        if self._is_looking and len(self.waiting) < self._max_waiting:
            self.waiting.append(question)
        else:
            self._around.refuse(question)

    def takes_back(self, question: "ClusterQuestion", error: Exception) -> bool:
        """A node did not answer. True when another one is asked instead."""
        self._look()
        if not isinstance(error, Sent) or question.hops >= MAX_HOPS:
            return False
        question.hops += 1
        question.is_let_in = error.is_once
        self._around.put(self._node(error.address), question)
        return True

    def _owner(self, key: bytes) -> Servers | None:
        slot = slot_of(key)
        at = bisect_right(self._ranges, slot, key=_first) - 1
        return self._ranges[at][2] if at >= 0 and slot <= self._ranges[at][1] else None

    def _node(self, address: Address) -> Servers:
        known = self._nodes.get(address)
        return known or replace(self._servers, policy=SINGLE, addresses=(address,))

    def _look(self) -> None:
        if self.is_idle:
            self._is_looking = True
            self._around.spawn(self._looks())

    async def _looks(self) -> None:
        """Ask one node after the other who has what; then put what waited for it."""
        error: Exception = Lost("no node has this key")
        try:
            for node in self._to_ask():
                try:
                    self._learn(node, await self._around.look_up(node))
                    break
                except Exception as failure:
                    error = failure
        finally:
            self._is_looking = False
            self._looks_from = self._around.now() + LOOK_AGAIN
            waiting = list(self.waiting)
            self.waiting.clear()
            for question in waiting:
                owner = self._owner(question.key)
                if owner is not None:
                    self._around.put(owner, question)
                else:
                    self._around.fail(self._servers, (question,), error)

    def _to_ask(self) -> Iterator[Servers]:
        """Those who knew it the last time, before those who are configured."""
        addresses = dict.fromkeys((*self._nodes, *self._servers.addresses))
        return map(self._node, list(addresses)[:MAX_ASKED])

    def _learn(self, teller: Servers, ranges: Iterable[Range]) -> None:
        """`teller` says so; it is meant where an address has no host."""
        told = sorted(ranges)
        (host, _) = teller.addresses[0]
        nodes = {teller.addresses[0]: teller}
        fresh = []
        for first, last, address in told:
            named = (address[0] or host, address[1])
            nodes[named] = node = nodes.get(named) or self._node(named)
            fresh.append((first, last, node))
        self._ranges, self._nodes = fresh, nodes


class ClusterQuestion(Question):
    """`hops`: how often it was sent on."""

    __slots__ = ("_cluster", "hops")

    def __init__(
        self,
        cluster: RedisCluster,
        script: Script,
        key: str,
        arguments: tuple[str, ...],
        answered: Callable[[Answer], None],
    ) -> None:
        super().__init__(script, key, arguments, answered)
        self._cluster = cluster
        self.hops = 0

    def takes_back(self, error: Exception) -> bool:
        return self._cluster.takes_back(self, error)


def _first(range_: tuple[int, int, Servers]) -> int:
    return range_[0]
