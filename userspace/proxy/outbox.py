"""Outbox: delivers what filters post, behind the requests' backs. Bounded in all it holds; what fails is counted.

Each destination has a queue of its own, emptied by at most LANES tasks, so that one that hangs delays nobody else's.
"""

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from userspace.config.names import is_name
from userspace.errors import LbError
from userspace.plugins.jobs import DatagramJob, FileJob, HttpJob, Job, StreamJob
from userspace.proxy.naming import Naming

MAX_DESTINATIONS: Final = 1024
MAX_JOBS: Final = 1024  # that wait for one destination
MAX_BYTES: Final = 32 << 20  # of all jobs, waiting or on their way
LANES: Final = 4
_MODE: Final = 0o640
_MAX_HEAD: Final = 16 << 10


class Outbox:
    """`delivered`, `failed` and `dropped` count entries: failed after its last try, dropped for want of room."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, naming: Naming, trouble: Callable[[str], None], authorities: str = ""
    ) -> None:
        """`authorities`: a file of those who vouch for servers that are verified; "": whom the system trusts."""
        self.delivered = 0
        self.failed = 0
        self.dropped = 0
        self.is_closing = False
        self._loop = loop
        self._naming = naming
        self._trouble = trouble
        self._authorities = authorities
        self._bytes = 0
        self._queues: dict[str, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[_Timer] = set()

    def post(self, job: Job, entries: int) -> bool:
        """Deliver `job`, which holds so many entries; False when there is no room for it."""
        where = _destination(job)
        queue = self._queues.get(where)
        if queue is None and len(self._queues) < MAX_DESTINATIONS:
            queue = self._queues[where] = _Queue()
        if queue is None or len(queue.jobs) >= MAX_JOBS or self._bytes + len(job.data) > MAX_BYTES:
            self.dropped += entries
            return False
        self._bytes += len(job.data)
        queue.jobs.append((job, entries))
        # A file's lines keep their order.
        if queue.lanes < (1 if isinstance(job, FileJob) else LANES):
            queue.lanes += 1
            task = self._loop.create_task(self._empty(where, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    def later(self, seconds: float, callback: Callable[[], None]) -> "_Timer":
        """Call `callback` after so many seconds, or when all ends, unless what is returned is cancelled."""
        return _Timer(self._loop, seconds, callback, self._timers)

    @property
    def pending(self) -> int:
        """Jobs that wait."""
        return sum(len(queue.jobs) for queue in self._queues.values())

    async def close(self, seconds: float) -> None:
        """Deliver what is there, for at most so many seconds."""
        self.is_closing = True
        for timer in list(self._timers):
            timer.cancel()
            timer.callback()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in self._tasks:
            task.cancel()

    async def _empty(self, where: str, queue: "_Queue") -> None:
        try:
            while queue.jobs:
                job, entries = queue.jobs.popleft()
                try:
                    await self._deliver(where, job, entries)
                finally:
                    self._bytes -= len(job.data)
        finally:
            queue.lanes -= 1
            if not queue.lanes and not queue.jobs:
                self._queues.pop(where, None)

    async def _deliver(self, where: str, job: Job, entries: int) -> None:
        for left in range(job.attempts.retries, -1, -1):
            try:
                await self._try(job)
            except (OSError, LbError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
                if left:
                    await asyncio.sleep(job.attempts.delay)
                    continue
                self.failed += entries
                self._trouble(f"outbox: {where}: {type(error).__name__}: {error}")
                return
            self.delivered += entries
            return

    async def _try(self, job: Job) -> None:
        if isinstance(job, FileJob):
            await self._loop.run_in_executor(None, _append, job.path, job.data)
            return
        async with asyncio.timeout(job.timeout):
            address = await self._naming.address_of(job.host) if is_name(job.host) else job.host
            if isinstance(job, DatagramJob):
                transport, _ = await self._loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=(address, job.port)
                )
                transport.sendto(job.data)
                transport.close()
                return
            await self._stream(job, address)

    async def _stream(self, job: HttpJob | StreamJob, address: str) -> None:
        context = _context(job.verify, self._authorities) if job.tls else None
        name = (isinstance(job, StreamJob) and job.name) or job.host if job.tls else None
        reader, writer = await asyncio.open_connection(
            address, job.port, ssl=context, server_hostname=name, limit=_MAX_HEAD
        )
        try:
            writer.write(job.data)
            await writer.drain()
            if isinstance(job, HttpJob):
                status = (await reader.readuntil(b"\r\n")).split(b" ", 2)[1:2]
                if not status or not status[0].isdigit():
                    raise ValueError("not an HTTP answer")
                if int(status[0]) >= 400 and not job.any_status:
                    raise ValueError(f"status {int(status[0])}")
        finally:
            writer.close()


class _Timer:
    __slots__ = ("_all", "_handle", "callback")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], None], all: "set[_Timer]"
    ) -> None:
        self.callback = callback
        self._all = all
        self._handle = loop.call_later(seconds, self._fire)
        all.add(self)

    def cancel(self) -> None:
        self._handle.cancel()
        self._all.discard(self)

    def _fire(self) -> None:
        self._all.discard(self)
        self.callback()


class _Queue:
    __slots__ = ("jobs", "lanes")

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, int]] = deque()
        self.lanes = 0


def _destination(job: Job) -> str:
    return job.path if isinstance(job, FileJob) else f"{type(job).__name__} {job.host}:{job.port}"


def _append(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


@lru_cache(maxsize=2)
def _context(verify: bool, authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
