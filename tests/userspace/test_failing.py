"""Endpoints that fail in every way under load: what clients lose, how long it lasts, and what is sent twice.

One of three endpoints fails at a time, with checks as an operator would have them. No GET may be lost, for each can
be sent to another endpoint. No POST may reach endpoints twice; those that an endpoint took with it are lost.
"""

import asyncio
import contextlib
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench.mixed import Origin
from tests.bench.peers import KEY
from tests.said import SAID
from tests.userspace.test_run import data_dir, ports, put, running

__all__ = ["data_dir", "ports"]  # fixtures

LASTS = 1.0  # seconds of each failure
TIMEOUT = {"connect": 0.3, "send": 0.3, "read": 0.3}
CHECKS = {
    "active": {
        "http_path": "/health",
        "timeout": 0.3,
        "healthy": {"interval": 1, "successes": 1},
        "unhealthy": {"interval": 1, "http_failures": 1, "tcp_failures": 1, "timeouts": 1},
    },
    "passive": {"unhealthy": {"tcp_failures": 2, "timeouts": 2}},
}


class Failing(Origin):
    """An endpoint that can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = ""
        self.held: list[socket.socket] = []

    async def answer(
        self, line: str, named: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if self.mode == "hung":
            await reader.read()  # until the gateway gives up
            return False
        if self.mode == "resetting":
            writer.transport.abort()
            return False
        if self.mode == "slow":
            await asyncio.sleep(0.1)
        return await super().answer(line, named, reader, writer)

    async def fail(self, mode: str) -> None:
        """Begin to fail. Flapping lasts as long as this; the others until `recover`."""
        self.mode = mode
        if mode == "killed":
            await self.close()
        elif mode == "half-open":
            # Nobody accepts, and the backlog is full: what is sent to it gets no word back, not even a reset.
            await self.close()
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self.port))
            listening.listen(0)
            self.held = [listening]
            for _ in range(4):
                self.held.append(socket.socket())
                self.held[-1].setblocking(False)
                self.held[-1].connect_ex(("127.0.0.1", self.port))
        elif mode == "flapping":
            for _ in range(4):
                await self.close()
                await asyncio.sleep(0.15)
                await self.open()
                await asyncio.sleep(0.15)

    async def recover(self) -> None:
        if self.mode == "half-open":
            for held in self.held:
                held.close()
            self.held.clear()
        if self.mode in ("killed", "half-open"):
            await self.open()
        self.mode = ""


class Clients:
    """Each request has an id of its own; `failed` counts (method, status) other than 200, 0 for a broken connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: Counter[str] = Counter()
        self.failed: Counter[tuple[str, int]] = Counter()
        self.ids = itertools.count()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for method in ("GET", "GET", "GET", "GET", "POST", "POST"):
            self.tasks.append(asyncio.create_task(self._repeat(method)))

    def mark(self) -> None:
        self.asked.clear()
        self.failed.clear()

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _repeat(self, method: str) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            is_kept = True
            try:
                while is_kept:
                    status, is_kept = await self._ask(method, reader, writer)
                    self.asked[method] += 1
                    if status != 200:
                        self.failed[method, status] += 1
                    await asyncio.sleep(0.002)
            finally:
                writer.close()

    async def _ask(self, method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bool]:
        body = b"hello" if method == "POST" else b""
        head = (
            f"{method} / HTTP/1.1\r\nHost: a.example\r\nX-Id: {method}-{next(self.ids)}\r\nContent-Length: {len(body)}"
        )
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
            return int(answer[9:12]), b"connection: close" not in answer
        return 0, False


async def until(holds: Callable[[], Any], within: float) -> float:
    """Wait; return how long it took, in seconds."""
    begun = time.monotonic()
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


@pytest.mark.alone
@pytest.mark.timeout(90)
async def test_no_request_is_lost_that_could_be_sent_again_and_none_sent_twice_that_must_not(
    data_dir: Path, ports: list[int]
) -> None:
    origins = [Failing() for _ in range(3)]
    for origin in origins:
        await origin.open()
    failing = origins[0]
    with running(data_dir, ports, "--admin-key", KEY, "--control-listen", "off"):
        nodes = {f"127.0.0.1:{origin.port}": 1 for origin in origins}
        route = {"uri": "/*", "upstream": {"nodes": nodes, "timeout": TIMEOUT, "checks": CHECKS}}
        assert await asyncio.to_thread(put, ports[1], KEY, "/apisix/admin/routes/1", route) == 201
        clients = Clients(ports[0])
        clients.start()
        await until(lambda: min(origin.served for origin in origins) > 50, 10)
        await asyncio.sleep(1.5)  # the checker has begun
        SAID.append("failure    GET          POST         errors   serves again")
        for mode in ("killed", "hung", "slow", "resetting", "half-open", "flapping"):
            clients.mark()
            begun = time.monotonic()
            await failing.fail(mode)
            await asyncio.sleep(max(0.0, begun + LASTS - time.monotonic()))
            asked, failed = clients.asked.copy(), clients.failed.copy()
            await failing.recover()
            before = failing.served
            back = await until(lambda before=before: failing.served > before + 10, 15)  # type: ignore[misc]
            lost = {method: sum(n for (m, _), n in failed.items() if m == method) for method in ("GET", "POST")}
            rate = sum(lost.values()) / asked.total()
            counts = "".join(f"{lost[method]} of {asked[method]}".ljust(13) for method in ("GET", "POST"))
            SAID.append(f"{mode:<10} {counts}{rate:7.2%}  {back:6.2f} s   {dict(failed)}")
            assert lost["GET"] == 0, (mode, failed)
            assert asked["GET"] > 30 and lost["POST"] <= 0.1 * asked["POST"], (mode, failed)
            clients.mark()
            await asyncio.sleep(0.3)
            assert not clients.failed, (mode, clients.failed)
        await clients.stop()
    seen: Counter[str] = Counter()
    for origin in origins:
        seen.update(origin.seen)
        await origin.close()
    twice = [name for name, count in seen.items() if count > 1]
    assert [name for name in twice if name.startswith("post")] == []
    assert 0 < len(twice) < 200  # some GETs were: that is what saved them
