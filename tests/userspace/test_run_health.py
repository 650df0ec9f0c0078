"""Endpoints that die, hang and come back under load, behind `unilb run` with two workers: what clients notice."""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.said import SAID
from tests.serving import Serving
from tests.userspace.health.endpoints import closed_port
from tests.userspace.health.name_server import A, address, name_server
from tests.userspace.test_run import data_dir, ports, put, running

__all__ = ["data_dir", "ports"]  # fixtures

KEY = "key-of-the-test"
CLIENTS = 4
CHECKS = {
    "active": {"http_path": "/health", "timeout": 0.5, "healthy": {"successes": 1}},
    "passive": {"unhealthy": {"tcp_failures": 2, "timeouts": 2}},
}


@dataclass
class Origin:
    """An HTTP server that can be killed, hung, and brought back. `port` stays."""

    port: int = 0
    host: str = "127.0.0.1"
    is_hung: bool = False
    served: int = 0
    serving: Serving | None = None

    async def start(self) -> Self:
        self.serving = Serving(self._serve, self.host, self.port)
        self.port = await self.serving.start()
        return self

    async def kill(self) -> None:
        assert self.serving is not None
        await self.serving.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if self.is_hung:
                await reader.read()
                break
            self.served += b"/health" not in head
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
async def origins() -> AsyncIterator[list[Origin]]:
    found = [await Origin().start() for _ in range(3)]
    yield found
    for origin in found:
        await origin.kill()


@dataclass
class Load:
    """Clients that ask one request after the other; `statuses` counts the answers since `mark`."""

    port: int
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.tasks = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]

    def mark(self) -> None:
        self.statuses.clear()
        self.slowest = 0.0

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _client(self) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while await self._ask(reader, writer):
                    await asyncio.sleep(0.002)
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; True when the connection is kept. Status 0 is a connection that broke."""
        begun = time.monotonic()
        status, is_kept = 0, False
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            writer.write(b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            status, is_kept = int(head[9:12]), b"connection: close" not in head
        self.statuses[status] += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return is_kept


@pytest.fixture
async def load(ports: list[int]) -> AsyncIterator[Load]:
    load = Load(ports[0])
    yield load
    await load.stop()


async def until(holds: Callable[[], Any], within: float) -> float:
    """Wait; return how long it took, in seconds."""
    begun = time.monotonic()
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


def fetched(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.read()


async def statuses_of(control: int) -> dict[int, str]:
    """What the Control API says of each port."""
    info = json.loads(await asyncio.to_thread(fetched, control, "/v1/healthcheck/routes/1"))
    return {node["port"]: node["status"] for node in info["nodes"]}


async def idle(origin: Origin) -> None:
    """Wait until it gets no request any more."""
    async with asyncio.timeout(10):
        while True:
            before = origin.served
            await asyncio.sleep(0.1)
            if origin.served == before:
                return


@pytest.mark.alone
async def test_clients_hardly_notice_endpoints_that_die_or_hang(
    data_dir: Path, ports: list[int], origins: list[Origin], load: Load
) -> None:
    dying, hanging, steady = origins
    control = closed_port()
    more = ("--workers", "2", "--admin-key", KEY, "--control-listen", f"127.0.0.1:{control}")
    with running(data_dir, ports, *more):
        upstream = {
            "nodes": {f"127.0.0.1:{origin.port}": 1 for origin in (dying, hanging, steady)},
            "timeout": {"connect": 0.3, "send": 0.3, "read": 0.3},
            "checks": CHECKS,
        }
        route = {"uri": "/*", "upstream": upstream}
        assert await asyncio.to_thread(put, ports[1], KEY, "/apisix/admin/routes/1", route) == 201
        load.start()
        await until(lambda: min(dying.served, hanging.served, steady.served) > 50, 10)
        await asyncio.sleep(1.1)  # what an upstream's first traffic meets does not count yet

        load.mark()
        await dying.kill()
        async with asyncio.timeout(10):
            while (await statuses_of(control))[dying.port] != "unhealthy":
                await asyncio.sleep(0.01)
        # Refused connections go to another endpoint; only what was under way on a reset one may fail.
        assert sum(count for status, count in load.statuses.items() if status != 200) <= CLIENTS
        assert load.statuses[200] > 0

        load.mark()
        await dying.start()
        before = dying.served
        back = await until(lambda: dying.served > before + 10, 10)
        assert load.statuses.keys() == {200}

        load.mark()
        hanging.is_hung = True
        await idle(hanging)
        async with asyncio.timeout(10):
            while (await statuses_of(control))[hanging.port] != "unhealthy":
                await asyncio.sleep(0.01)
        failed = sum(count for status, count in load.statuses.items() if status != 200)
        assert failed <= 4 * CLIENTS and load.statuses[200] > 0
        assert load.statuses.keys() <= {200, 504} and load.slowest < 2

        async with asyncio.timeout(10):  # until what was on its way has timed out
            while load.statuses.keys() != {200}:
                load.mark()
                await asyncio.sleep(0.2)
        await load.stop()
        metrics = (await asyncio.to_thread(fetched, ports[2], "/metrics")).decode()
        assert f'unilb_endpoint_up{{upstream="routes/1",endpoint="127.0.0.1:{hanging.port}"}} 0\n' in metrics
        assert 'unilb_endpoint_transitions_total{upstream="routes/1",to="down"}' in metrics
        SAID.append(f"back in the round after {back:.2f} s; {failed} time-outs of a hung endpoint")


async def test_requests_follow_a_name_and_outlive_its_name_server(
    data_dir: Path, ports: list[int], origins: list[Origin], load: Load
) -> None:
    first = origins[0]
    second = await Origin(first.port, "127.0.0.2").start()
    origins.append(second)
    async with name_server(web=("127.0.0.1",)) as server:
        more = ("--admin-key", KEY, "--set", f'resolvers=["{server.address}"]', "--set", "dns_ttl=1")
        with running(data_dir, ports, *more):
            route = {"uri": "/*", "upstream": {"nodes": {f"web.example:{first.port}": 1}}}
            assert await asyncio.to_thread(put, ports[1], KEY, "/apisix/admin/routes/1", route) == 201
            load.start()
            await until(lambda: first.served > 50, 10)
            assert second.served == 0
            load.mark()
            server.records["web.example", A] = (1, [address("127.0.0.2")])
            await until(lambda: second.served > 50, 10)
            before = first.served
            server.silent.add("web.example")
            await until(lambda: second.served > 250, 10)
            assert first.served - before <= CLIENTS  # what was under way when the answer changed
            await load.stop()
            assert load.statuses.keys() == {200}
