"""Workers: started with inherited listeners, fed with configuration, replaced when they die, drained together.

Every worker has a listener of its own (SO_REUSEPORT), which the supervisor keeps open: connections that the kernel
accepted for a dead worker wait for its replacement. A worker that does not take what it is sent is replaced as well,
and starts from the whole configuration.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from userspace.config.settings import Settings
from userspace.node import native
from userspace.node.predecessors import Predecessors
from userspace.node.splicing import Splicing
from userspace.obs.worker_totals import WorkerTotals
from userspace.tally import shared_memory
from userspace.wire import Decoder, Message, WireError, encode

log = logging.getLogger("unilb.supervisor")

MAX_UNSENT_BYTES = 256 << 20  # to one worker: as much as one message may have
RESTART_FIRST, RESTART_MOST = 0.1, 5.0  # seconds before a replacement, doubling with each death in a row
STEADY_AFTER = 10.0  # seconds of life after which a death no longer counts as in a row


@dataclass(eq=False, slots=True)
class Worker(asyncio.Protocol):
    """One worker process as the supervisor sees it: the protocol of its wire."""

    name: str
    supervisor: "Supervisor"
    listeners: list[tuple[str, socket.socket]]  # with the option that hands it over
    process: asyncio.subprocess.Process | None = None
    transport: asyncio.Transport | None = None
    decoder: Decoder = field(default_factory=Decoder)
    revision: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0  # the last question that its counters answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for message in self.decoder.feed(data):
                self.supervisor.received(self, message)
        except WireError as error:
            log.error("worker %s: %s", self.name, error)
            self.kill()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.transport = None

    def send(self, message: bytes) -> None:
        """Queue one message; a worker that leaves MAX_UNSENT_BYTES unread is killed."""
        if self.transport is None:
            return
        self.transport.write(message)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.error("worker %s does not read its configuration: replacing it", self.name)
            self.kill()

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


class Supervisor:
    """The workers of one machine. `start` before anything else; then `snapshot` once and `changes` in order."""

    def __init__(
        self,
        listen: Sequence[tuple[str, int]],
        workers: int,
        settings: Settings,
        totals: WorkerTotals,
        predecessors: Predecessors,
        user: str | None = None,
        greeting: Callable[[], Sequence[Message]] = tuple,
        to_checker: Callable[[Message], None] = lambda message: None,
        listen_tls: Sequence[tuple[str, int]] = (),
        listen_stream: Sequence[tuple[str, int]] = (),
        metrics: Callable[[], Awaitable[str | None]] | None = None,
        splicing: Splicing | None = None,
    ) -> None:
        """`greeting`: what a worker is told before its configuration. `to_checker` takes what is for the checker.
        `metrics`: their text, for workers that ask. `splicing`: whom they may ask for splices."""
        self._splicing = splicing
        self._metrics = metrics
        self._greeting = greeting
        self._to_checker = to_checker
        self._settings = json.dumps(settings.to_json())
        self._deadline = settings.drain_deadline
        self._user = user
        self._totals = totals
        self._predecessors = predecessors
        self._objects: dict[str, bytes] = {}
        self._revision = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._applied = asyncio.Condition()
        self._questions = 0
        self._told = asyncio.Event()
        self._draining = asyncio.Event()
        self.restarts = 0
        self._tally = shared_memory()  # a worker that is replaced finds what it counted
        listeners = (("--listen-fd", listen), ("--listen-tls-fd", listen_tls), ("--listen-stream-fd", listen_stream))
        wanted = [(option, where) for option, places in listeners for where in places]
        self.workers = [
            Worker(str(n), self, [(option, _listener(where, settings.backlog)) for option, where in wanted])
            for n in range(workers)
        ]

    def snapshot(self, revision: int, objects: Mapping[str, bytes]) -> None:
        """Give every worker the whole configuration."""
        self._objects, self._revision = dict(objects), revision
        self._broadcast(self._whole())

    def changes(self, revision: int, changes: Sequence[tuple[str, bytes | None]]) -> None:
        """Give every worker one batch of changes: key and new value, None for a deleted key."""
        for key, value in changes:
            if value is None:
                self._objects.pop(key, None)
            else:
                self._objects[key] = value
        self._revision = revision
        for worker in self.workers:
            worker.rejected = {key: why for key, why in worker.rejected.items() if key not in dict(changes)}
        listed = [[key, None if value is None else value.decode()] for key, value in changes]
        self._broadcast(encode({"type": "changes", "revision": revision, "changes": listed}))

    def tell(self, message: Message) -> None:
        """Tell every worker something that is no configuration."""
        self._broadcast(encode(message))

    def _whole(self) -> bytes:
        listed = [[key, value.decode()] for key, value in self._objects.items()]
        return encode({"type": "snapshot", "revision": self._revision, "objects": listed})

    def _broadcast(self, message: bytes) -> None:
        for worker in self.workers:
            worker.send(message)

    async def start(self) -> None:
        """Start every worker and wait until all accept; then ask those of an earlier node on this machine to go."""
        self._tasks = [asyncio.create_task(self._keep(worker)) for worker in self.workers]
        await asyncio.gather(*(worker.ready.wait() for worker in self.workers))
        self._predecessors.replace(self._pids())

    async def applied(self, revision: int, within: float) -> bool:
        """Wait until every living worker routes by `revision`; False when that takes longer than `within` seconds."""
        try:
            async with asyncio.timeout(within), self._applied:
                await self._applied.wait_for(lambda: all(w.revision >= revision for w in self._living()))
        except TimeoutError:
            return False
        return True

    def rejected(self) -> dict[str, str]:
        """Return store key -> why some worker does not use what is stored there."""
        return {key: why for worker in self.workers for key, why in worker.rejected.items()}

    def received(self, worker: Worker, message: Message) -> None:
        """Take one message of a worker."""
        match message["type"]:
            case "applied":
                # Ready is who routes, not who has merely started: those of an earlier node go when this is set.
                worker.ready.set()
                worker.revision = message["revision"]
                worker.rejected |= message["rejected"]
                self._tasks.append(asyncio.create_task(self._tell_applied()))
            case "counters":
                self._totals.report(worker.name, message["counters"])
                if "asked" in message:
                    worker.asked = message["asked"]
                    self._told.set()
            case "metrics?":
                self._tasks.append(asyncio.create_task(self._tell_metrics(worker)))
            case "passive" | "resolve":
                self._to_checker(message)
            case other:
                log.debug("worker %s: %s", worker.name, other)

    async def _tell_metrics(self, worker: Worker) -> None:
        text = await self._metrics() if self._metrics is not None else None
        worker.send(encode({"type": "metrics", "text": text}))
        self._tasks = [task for task in self._tasks if not task.done()]

    async def _tell_applied(self) -> None:
        async with self._applied:
            self._applied.notify_all()
        self._tasks = [task for task in self._tasks if not task.done()]

    async def fresh_counters(self, within: float = 2) -> None:
        """Ask every worker for its counters, for one scrape; return when all answered, or after so many seconds."""
        self._questions += 1
        question = self._questions
        self._broadcast(encode({"type": "counters?", "asked": question}))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while any(worker.asked < question for worker in self._living()):
                    self._told.clear()
                    await self._told.wait()

    async def drain(self) -> None:
        """Let every worker finish its exchanges, by the deadline of the settings; then none is left."""
        self._draining.set()
        self._broadcast(encode({"type": "drain", "deadline": self._deadline}))
        # Once the workers close theirs too, new connections are refused; kept, ours would let them wait for nobody.
        for worker in self.workers:
            for _, listener in worker.listeners:
                listener.close()
        living = [w.process for w in self.workers if w.process is not None and w.process.returncode is None]
        waits = [asyncio.create_task(process.wait()) for process in living]
        if waits:
            await asyncio.wait(waits, timeout=self._deadline + 2)
        for worker in self.workers:
            worker.kill()
        await asyncio.gather(*waits, *self._tasks, return_exceptions=True)
        # A node told to end before its workers were all ready has not yet asked those of an earlier one to go.
        self._predecessors.replace(())
        self._predecessors.forget()
        os.close(self._tally)

    def _living(self) -> list[Worker]:
        return [w for w in self.workers if w.ready.is_set() and w.transport is not None]

    def _pids(self) -> list[int]:
        return [w.process.pid for w in self.workers if w.process is not None]

    async def _keep(self, worker: Worker) -> None:
        """Run one worker's process for as long as we are not draining."""
        loop = asyncio.get_running_loop()
        pause = RESTART_FIRST
        while not self._draining.is_set():
            started = loop.time()
            code = await self._run(worker)
            self._totals.gone(worker.name)
            worker.ready.clear()
            if self._draining.is_set():
                return
            self.restarts += 1
            pause = RESTART_FIRST if loop.time() - started > STEADY_AFTER else min(pause * 2, RESTART_MOST)
            log.error("worker %s ended with %s: replacing it in %.1f s", worker.name, _reason(code), pause)
            await asyncio.sleep(pause)

    async def _run(self, worker: Worker) -> int:
        """Start the process, give it the configuration, wait for its end; return its exit code."""
        ours, theirs = socket.socketpair()
        # -P: what stands in the directory that the node happens to be started from is none of its business.
        argv = [sys.executable, "-P", "-m", "userspace.proxy.worker", "--settings", self._settings]
        argv += ["--wire-fd", str(theirs.fileno()), "--tally-fd", str(self._tally)]
        for option, listener in worker.listeners:
            argv += [option, str(listener.fileno())]
        if self._user:
            argv += ["--user", self._user]
        fds = [theirs.fileno(), self._tally, *(listener.fileno() for _, listener in worker.listeners)]
        splices = self._splicing.worker(worker.name) if self._splicing is not None else None
        if splices is not None:
            argv += ["--splice-fd", str(splices.fileno())]
            fds.append(splices.fileno())
        worker.decoder, worker.revision, worker.rejected = Decoder(), 0, {}
        worker.process = await asyncio.create_subprocess_exec(
            *argv, pass_fds=fds, start_new_session=True, env=native.environment()
        )
        self._predecessors.note(worker.process.pid)
        theirs.close()
        if splices is not None:
            splices.close()
        await asyncio.get_running_loop().create_connection(lambda: worker, sock=ours)
        if self._draining.is_set():  # it was not there yet when the others were told
            worker.kill()
        for message in self._greeting():
            worker.send(encode(message))
        worker.send(self._whole())
        if self._splicing is not None:
            worker.send(encode(self._splicing.guard.message()))
        code = await worker.process.wait()
        if worker.transport is not None:
            worker.transport.close()
        return code


def _listener(address: tuple[str, int], backlog: int) -> socket.socket:
    """Return a listening socket that shares its port with the other workers'."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:  # a client of IPv4 would be ::ffff:a.b.c.d, which no rule about it names
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(
            error.errno, f"cannot listen on {address[0]}:{address[1]}: {os.strerror(error.errno or 0)}"
        ) from None
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
