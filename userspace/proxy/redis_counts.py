"""RedisCounts: puts the questions of filters to Redis servers and calls back with the answers. Bounded in all it holds.

Per server a queue, emptied by at most LANES tasks with a connection each, BATCH questions per round trip: the more
ask, the less one costs, and there is no task per request. A server that fails is left alone for a while: meanwhile
every question to it is answered None at once, so that a dead Redis costs a request nothing but its limit.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from userspace.plugins.counting import CLUSTER, SENTINEL, Answer, Script, Servers
from userspace.proxy.naming import Naming
from userspace.proxy.redis_cluster import Around, ClusterQuestion, Range, RedisCluster
from userspace.proxy.redis_question import Lost, Question

if TYPE_CHECKING:
    from userspace.proxy.redis_lines import Line

MAX_SERVERS: Final = 1024
MAX_WAITING: Final = 4096  # questions for one of them
LANES: Final = 4
BATCH: Final = 64
REST: Final = 1.0
"""Seconds for which a server that failed is asked nothing; then one lane tries."""
TROUBLE_EVERY: Final = 1.0


class RedisCounts:
    """`asked` counts questions, `failed` those that nobody answered, `refused` those that were not asked: too many
    waited, or the servers rest."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, naming: Naming, trouble: Callable[[str], None], authorities: str = ""
    ) -> None:
        """`authorities`: a file of those who vouch for servers that are verified; "": whom the system trusts."""
        self.asked = 0
        self.failed = 0
        self.refused = 0
        self._loop = loop
        self._naming = naming
        self._trouble = trouble
        self._authorities = authorities
        self._queues: dict[Servers, _Queue] = {}
        self._told: dict[Servers, float] = {}
        self._clusters: dict[Servers, RedisCluster] = {}
        self._around = Around(loop.time, self._spawn, self._put, self._look_up, self._without, self._refuse)
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(
        self, servers: Servers, script: Script, key: str, arguments: tuple[str, ...], answered: Callable[[Answer], None]
    ) -> None:
        """Have `script` run on `key`. `answered` is called once, later; with None when nobody could say."""
        self.asked += 1
        if servers.policy != CLUSTER:
            self._put(servers, Question(script, key, arguments, answered))
            return
        cluster = self._clusters.get(servers) or self._new_cluster(servers)
        if cluster is None:
            self._refuse(Question(script, key, arguments, answered))
        else:
            cluster.put(ClusterQuestion(cluster, script, key, arguments, answered))

    @property
    def waiting(self) -> int:
        """Questions that wait for a connection."""
        for_nodes = sum(len(cluster.waiting) for cluster in self._clusters.values())
        return for_nodes + sum(len(queue.waiting) for queue in self._queues.values())

    async def close(self, seconds: float) -> None:
        """Have what was asked answered, for at most so many seconds, and hang up."""
        for queue in self._queues.values():
            queue.is_closing = True
            for idle in queue.idle:
                _wake(idle)
            queue.idle.clear()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in self._tasks:
            task.cancel()

    def _put(self, servers: Servers, question: Question) -> None:
        """Have one server, or whom sentinels name, asked."""
        queue = self._queues.get(servers) or self._new_queue(servers)
        now = self._loop.time()
        if queue is None or len(queue.waiting) >= MAX_WAITING or now < queue.rests_until:
            self._refuse(question)
            return
        question.asked_at = now
        queue.waiting.append(question)
        if queue.idle:
            _wake(queue.idle.pop())
        elif queue.lanes < (1 if queue.is_suspect else min(LANES, servers.connections)):
            queue.lanes += 1
            self._spawn(self._lane(servers, queue))

    def _refuse(self, question: Question) -> None:
        self.refused += 1
        self._loop.call_soon(question.answered, None)

    def _without(self, servers: Servers, questions: Sequence[Question], error: BaseException) -> None:
        """Nobody answers these."""
        reason = error if isinstance(error, Exception) else Lost("hung up")
        left = [question for question in questions if not question.takes_back(reason)]
        self.failed += len(left)
        for question in left:
            self._loop.call_soon(question.answered, None)
        if left:
            self._tell(servers, reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _new_cluster(self, servers: Servers) -> RedisCluster | None:
        if len(self._clusters) >= MAX_SERVERS:
            self._clusters = {known: cluster for known, cluster in self._clusters.items() if not cluster.is_idle}
            if len(self._clusters) >= MAX_SERVERS:
                return None
        cluster = self._clusters[servers] = RedisCluster(servers, self._around, MAX_WAITING)
        return cluster

    def _new_queue(self, servers: Servers) -> "_Queue | None":
        if len(self._queues) >= MAX_SERVERS:
            for known, queue in list(self._queues.items()):
                if not queue.lanes and not queue.waiting:
                    del self._queues[known]
            if len(self._queues) >= MAX_SERVERS:
                return None
        queue = self._queues[servers] = _Queue()
        return queue

    async def _lane(self, servers: Servers, queue: "_Queue") -> None:
        """Put questions until there have been none for a while, or the server fails."""
        line: Line | None = None
        try:
            while await self._has_work(servers, queue):
                batch = self._batch(servers, queue)
                if not batch:
                    continue
                was_kept = line is not None
                try:
                    if line is None:
                        line = await self._opened(servers)
                    async with asyncio.timeout(servers.timeout):
                        answers = await line.ask(batch)
                except BaseException as error:
                    self._give_up(servers, queue, batch, error)
                    if isinstance(error, Exception):
                        return
                    raise
                if self._settle(servers, queue, batch, answers, was_kept):
                    return
                if line.is_stale:
                    stale, line = line, None
                    await stale.close()
        finally:
            queue.lanes -= 1
            if line is not None:
                await line.close()
            if not queue.lanes and not queue.waiting and not queue.is_suspect:
                self._queues.pop(servers, None)

    def _batch(self, servers: Servers, queue: "_Queue") -> list[Question]:
        """Take what is to be asked next. Who has waited for as long as an answer may take gets none."""
        batch: list[Question] = []
        since = self._loop.time() - servers.connect_timeout - servers.timeout
        while queue.waiting and len(batch) < BATCH:
            question = queue.waiting.popleft()
            if question.asked_at >= since:
                batch.append(question)
            else:
                self._without(servers, (question,), TimeoutError("too many were before it"))
        return batch

    async def _has_work(self, servers: Servers, queue: "_Queue") -> bool:
        """Wait for a question; False when none came while a connection may be idle."""
        while not queue.waiting:
            if queue.is_closing:
                return False
            idle = self._loop.create_future()
            queue.idle.append(idle)
            try:
                async with asyncio.timeout(servers.idle):
                    await idle
            except TimeoutError:
                return bool(queue.waiting)
            finally:
                if idle in queue.idle:
                    queue.idle.remove(idle)
        return True

    async def _opened(self, servers: Servers) -> "Line":
        # Most workers never need it, and it takes 50 ms and 11 MiB: in a thread, so that nobody waits but who asked.
        lines = await self._loop.run_in_executor(None, import_module, "userspace.proxy.redis_lines")
        steps = 1 + len(servers.addresses) if servers.policy == SENTINEL else 1
        async with asyncio.timeout(steps * servers.connect_timeout):
            line: Line = await lines.opened(servers, self._naming, self._authorities)
        return line

    async def _look_up(self, node: Servers) -> list[Range]:
        """Ask a node of a cluster who has what."""
        line = await self._opened(node)
        try:
            async with asyncio.timeout(node.timeout):
                return await line.slots()
        finally:
            await line.close()

    def _settle(
        self, servers: Servers, queue: "_Queue", batch: Sequence[Question], answers: Sequence[Any], was_kept: bool
    ) -> bool:
        """Pass the answers on; True when there are none, and the lane is over."""
        lost = [question for question, answer in zip(batch, answers, strict=True) if isinstance(answer, Lost)]
        if lost and not was_kept and len(lost) == len(batch):
            self._give_up(servers, queue, batch, answers[0])
            return True
        if lost and was_kept:
            # A connection that was kept is gone, as they are when a server restarts: once more, over a new one.
            queue.waiting.extendleft(reversed(lost))
        queue.is_suspect = False
        for question, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, Exception):
                self._loop.call_soon(question.answered, answer)
            elif not (was_kept and isinstance(answer, Lost)):
                self._without(servers, (question,), answer)
        return False

    def _give_up(self, servers: Servers, queue: "_Queue", batch: Sequence[Question], error: BaseException) -> None:
        """The server failed: whoever asked goes without an answer, and so do those who ask in the next while."""
        queue.is_suspect = True
        queue.rests_until = self._loop.time() + REST
        without = [*batch, *queue.waiting]
        queue.waiting.clear()
        self._without(servers, without, error)

    def _tell(self, servers: Servers, error: Exception) -> None:
        now = self._loop.time()
        if now < self._told.get(servers, float("-inf")) + TROUBLE_EVERY:
            return
        if len(self._told) >= MAX_SERVERS:
            self._told.clear()
        self._told[servers] = now
        self._trouble(f"counts in {servers}: {type(error).__name__}: {str(error) or 'no answer in time'}")


def _wake(idle: "asyncio.Future[None]") -> None:
    """Have a lane look for work. One whose time is up is about to look by itself."""
    if not idle.done():
        idle.set_result(None)


class _Queue:
    """What waits for a server. `idle`: lanes that wait for a question. `is_suspect`: it failed the last time."""

    __slots__ = ("idle", "is_closing", "is_suspect", "lanes", "rests_until", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Question] = deque()
        self.idle: list[asyncio.Future[None]] = []
        self.lanes = 0
        self.is_closing = False
        self.is_suspect = False
        self.rests_until = float("-inf")
