"""A real etcd, a control plane and a gateway without datapath, on this machine; the etcd is what fails."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from control.store.open import open_store
from tests.control.admin.conftest import Client, running
from tests.control.conftest import EtcdServer, shared_etcd, start_etcd
from tests.ports import unused_port
from tests.serving import Serving
from userspace.config.settings import Settings
from userspace.node.daemon import NodeDaemon
from userspace.node.daemon_settings import NodeSettings

__all__ = ["shared_etcd", "start_etcd"]
WAIT = 30.0


@dataclass
class Traffic:
    """One client that asks for one route all the time, a new connection each; `wrong` is what was not a 200."""

    port: int
    asked: int = 0
    wrong: list[object] = field(default_factory=list)
    _may_ask: asyncio.Event = field(default_factory=asyncio.Event)

    def pause(self) -> None:
        """While a worker hangs, what the kernel gives it hangs too."""
        self._may_ask.clear()

    def go_on(self) -> None:
        self._may_ask.set()

    async def run(self) -> None:
        self.go_on()
        while True:
            await self._may_ask.wait()
            try:
                status = await ask(self.port, "/kept")
                if status != 200:
                    self.wrong.append(status)
            except OSError as error:
                self.wrong.append(error)
            self.asked += 1
            await asyncio.sleep(0.02)


@dataclass
class Site:
    """What a test has: the etcd, the Admin API, a gateway with two workers, and traffic that must not notice."""

    etcd: EtcdServer
    api: Client
    daemon: NodeDaemon
    port: int
    metrics: int
    origin: int
    traffic: Traffic

    def route(self, path: str) -> dict[str, Any]:
        return {"uri": path, "upstream": {"type": "roundrobin", "nodes": {f"127.0.0.1:{self.origin}": 1}}}

    async def put(self, name: str) -> None:
        """Put the route of /name, as long as it takes."""
        async with asyncio.timeout(WAIT):
            while (await self.api.put(f"routes/{name}", self.route(f"/{name}"))).status not in (200, 201):
                await asyncio.sleep(0.02)

    async def status(self, name: str) -> int:
        return await ask(self.port, f"/{name}")

    async def in_force(self, name: str, status: int = 200) -> float:
        """Seconds until every worker answers for /name with `status`."""
        started = first = time.monotonic()
        async with asyncio.timeout(WAIT):
            in_a_row = 0
            # Connections are spread over two workers by a hash: a dozen in a row meet both.
            while in_a_row < 12:
                in_a_row = in_a_row + 1 if await self.status(name) == status else 0
                if in_a_row == 1:
                    first = time.monotonic()
        return first - started

    async def health(self) -> dict[str, Any]:
        async with self.api.session.get(f"http://127.0.0.1:{self.metrics}/healthz") as answer:
            return dict(await answer.json())

    async def healthy_when(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(WAIT):
            while not condition(found := await self.health()):
                await asyncio.sleep(0.02)
        return found

    async def elsewhere(self, act: Callable[[Client], Awaitable[None]], folder: Path) -> None:
        """Restart the etcd where gateway and control do not find it, act on it, and bring it back."""
        self.etcd.move()
        await asyncio.to_thread(self.etcd.start)
        store = open_store(self.etcd.url)
        try:
            async with running(store, folder / "elsewhere.log") as client:
                await act(client)
        finally:
            await store.close()
        self.etcd.kill()
        self.etcd.move()

    async def back(self) -> None:
        await asyncio.to_thread(self.etcd.start)

    def copy(self, name: str) -> Path:
        """A copy of the stopped etcd's data."""
        made = self.etcd.directory.with_name(name)
        shutil.copytree(self.etcd.directory, made)
        return made

    def wipe(self, backup: Path | None = None) -> None:
        """Replace the stopped etcd's data by a copy, or by nothing."""
        shutil.rmtree(self.etcd.directory)
        if backup is not None:
            backup.rename(self.etcd.directory)


async def ask(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


def node_settings(folder: Path, port: int, metrics: int, id: str = "gw") -> NodeSettings:
    """A gateway as `unilb run` makes it: workers, and no datapath."""
    return NodeSettings(
        id=id,
        listen=(("127.0.0.1", port),),
        workers=2,
        metrics=("127.0.0.1", metrics),
        user=None,
        run_dir=folder,
        worker=Settings(access_log="off", drain_deadline=2, max_connections=1000),
        forwarding=None,
    )


@contextlib.asynccontextmanager
async def gateway(url: str, settings: NodeSettings) -> AsyncIterator[NodeDaemon]:
    """A running node; entered once its workers serve."""
    store = open_store(url)
    ready = asyncio.Event()

    async def is_ready() -> None:
        ready.set()

    daemon = NodeDaemon(settings, store, is_ready)
    running_daemon = asyncio.create_task(daemon.run())
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, running_daemon}, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT)
        assert ready.is_set(), running_daemon
        yield daemon
    finally:
        running_daemon.cancel()
        await asyncio.gather(running_daemon, return_exceptions=True)
        await store.close()


@pytest.fixture
async def site(start_etcd: Callable[..., EtcdServer], tmp_path: Path) -> AsyncIterator[Site]:
    etcd = await asyncio.to_thread(start_etcd)
    origin = Serving(_origin)
    await origin.start()
    port, metrics = unused_port(), unused_port()
    control = open_store(etcd.url)
    settings = node_settings(tmp_path / "run", port, metrics)
    async with running(control, tmp_path / "audit.log") as api, gateway(etcd.url, settings) as daemon:
        made = Site(etcd, api, daemon, port, metrics, origin.port, Traffic(port))
        await made.put("kept")
        await made.in_force("kept")
        asking = asyncio.create_task(made.traffic.run())
        yield made
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert made.traffic.asked and made.traffic.wrong == []
    await control.close()
    await origin.stop()
