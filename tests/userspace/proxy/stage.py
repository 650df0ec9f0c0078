"""A stage for conversations: a scripted endpoint, the proxy of one worker in this process, and raw-byte clients."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from tests.serving import Serving
from userspace.config.compile_routing import Router
from userspace.config.settings import Settings
from userspace.config.snapshot import EMPTY, apply
from userspace.obs.access_log import AccessLog
from userspace.plugins.env import Env
from userspace.proxy.dates import Dates
from userspace.proxy.listener import Listener
from userspace.proxy.shared import Shared
from userspace.proxy.wheel import Wheel

PATIENCE = 10.0
TICK = 0.01
DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
"""What answers get that have none: on the stage it is always that day."""


class Speaker:
    """One end of a connection, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop would raise RuntimeError
            raise ConnectionResetError
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), PATIENCE)

    async def hear(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE)

    async def hear_line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\n"), PATIENCE)

    async def hear_head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def hear_end(self) -> bytes:
        """Everything up to a clean end of the stream."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)

    async def hear_message(self) -> tuple[bytes, bytes]:
        """(head, body decoded) of one message that is framed by length or chunks."""
        head = await self.hear_head()
        lines = {line.split(b":")[0].lower(): line.split(b":", 1)[1].strip() for line in head.split(b"\r\n")[1:-2]}
        if lines.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int((await self.hear_line()).split(b";")[0], 16):
                body += await self.hear(size)
                assert await self.hear(2) == b"\r\n"
            while await self.hear_line() != b"\r\n":
                pass
            return head, body
        return head, await self.hear(int(lines.get(b"content-length", b"0")))

    async def is_reset(self) -> bool:
        """True when the connection ends by a reset rather than by a clean end."""
        try:
            await self.hear_end()
        except ConnectionResetError:
            return True
        return False

    def reset(self) -> None:
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


Script = Callable[[Speaker], Awaitable[None]]


class Endpoint:
    """A server whose connections follow a script. `heard` collects nothing by itself: scripts hear what they want."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.accepted = 0
        self.port = 0
        self.speakers: list[Speaker] = []
        self.failures: list[BaseException] = []
        self.context: ssl.SSLContext | None = None
        self._serving: Serving | None = None

    async def open(self) -> str:
        self._serving = Serving(self._connected, tls=self.context)
        self.port = await self._serving.start()
        return f"127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaker = Speaker(reader, writer)
        self.accepted += 1
        self.speakers.append(speaker)
        try:
            await self.script(speaker)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:
            self.failures.append(error)

    async def close(self) -> None:
        if self._serving is not None:
            await self._serving.stop()
        assert not self.failures, self.failures


async def hello(speaker: Speaker) -> None:
    """Answers every request with its first line, and keeps the connection."""
    while True:
        head, _ = await speaker.hear_message()
        line = head.split(b"\r\n")[0]
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))


def get(path: str = "/", *fields: str, host: str = "a.example") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


class Stage:
    """`async with Stage(tmp_path, hello) as stage`: one route /* to one upstream of the scripts' endpoints."""

    def __init__(self, folder: Path, *scripts: Script | str, **options: Any) -> None:
        self.settings = Settings.from_json({"access_log": str(folder / "access.log"), **options.pop("settings", {})})
        self.route: dict[str, Any] = options.pop("route", {})
        self.upstream: dict[str, Any] = options
        self.endpoints = [script if isinstance(script, str) else Endpoint(script) for script in scripts]
        self.addresses: list[str] = []
        self.clients: list[Speaker] = []
        self.revision = 0

    @property
    def endpoint(self) -> Endpoint:
        first = self.endpoints[0]
        assert isinstance(first, Endpoint)
        return first

    async def __aenter__(self) -> Self:
        self.addresses = [item if isinstance(item, str) else await item.open() for item in self.endpoints]
        loop = asyncio.get_running_loop()
        self.wheel = Wheel(loop, TICK)
        self.wheel.start()
        self.env = Env()
        self.router = Router(env=self.env)
        self.log = AccessLog(self.settings.access_log)
        self.log.start()
        self.shared = Shared(loop, self.settings, self.router, self.log, self.wheel)
        self.shared.dates = Dates(lambda: 0.0)
        upstream = {"id": "u1", "type": "roundrobin", "nodes": dict.fromkeys(self.addresses, 1), **self.upstream}
        self.put(
            ("upstreams/u1", upstream), ("routes/r1", {"id": "r1", "uri": "/*", "upstream_id": "u1", **self.route})
        )
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.listener = Listener(self.shared, [listening.detach()])
        await self.listener.open()
        return self

    def put(self, *objects: tuple[str, dict[str, Any] | None], prefix: str = "/apisix/") -> None:
        self.revision += 1
        changes = [(prefix + key, None if doc is None else json.dumps(doc).encode()) for key, doc in objects]
        snapshot = apply(self.router.snapshot if self.revision > 1 else EMPTY, self.revision, changes)
        assert not dict(snapshot.rejected), dict(snapshot.rejected)
        self.router.apply(snapshot)

    async def client(self) -> Speaker:
        speaker = Speaker(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(speaker)
        return speaker

    async def until(self, condition: Callable[[], bool]) -> None:
        """For conditions inside the proxy that no byte announces."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.002)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()
        for client in self.clients:
            client.reset()
        for connection in list(self.shared.connections):
            connection.abort()
        self.shared.pools.close()
        for endpoint in self.endpoints:
            if isinstance(endpoint, Endpoint):
                await endpoint.close()
        await self.until(lambda: not self.shared.connections and self.shared.pools.counts() == (0, 0))
        self.wheel.stop()
        self.log.close()

    def text_lines(self) -> list[str]:
        """The access log so far, as it was written."""
        self.log.close()
        with open(self.settings.access_log) as file:
            return file.read().splitlines()

    def log_lines(self) -> list[dict[str, Any]]:
        """The access log so far; the exchange must be over."""
        self.log.close()
        with open(self.settings.access_log, "rb") as file:
            return [orjson.loads(line) for line in file]
