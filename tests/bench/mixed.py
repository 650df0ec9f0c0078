"""Mixed load over asyncio, and endpoints for it: small and large, kept and not, bodies of both framings, tunnels.

Every answer is checked, byte for byte where there is something to compare. `Load.outcomes` counts statuses and, as
"broken", connections that ended in the middle.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.serving import Serving

LARGE = 256 << 10
MESSAGE = bytes(range(256)) * 8
PAUSE = 0.002

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Origin:
    """An endpoint. `served`: requests so far; `seen`: how often each X-Id came."""

    def __init__(self) -> None:
        self.port = 0
        self.served = 0
        self.seen: Counter[str] = Counter()
        self._serving: Serving | None = None

    async def open(self) -> None:
        """Listen; a second time on the same port."""
        self._serving = Serving(self._serve, port=self.port)
        self.port = await self._serving.start()

    async def close(self) -> None:
        if self._serving is not None:
            await self._serving.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._answer(reader, writer):
            pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        line, *fields = head.split("\r\n")
        named = dict(field.split(": ", 1) for field in fields if field)
        self.served += 1
        if "x-id" in named:
            self.seen[named["x-id"]] += 1
        return await self.answer(line, named, reader, writer)

    async def answer(
        self, line: str, named: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False ends the connection."""
        if "upgrade" in named:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            while data := await reader.read(65536):
                writer.write(data)
            return False
        body = await read_body(named, reader)
        answer = bytes(LARGE) if "/large" in line else b"ok"
        if line.startswith("post"):
            answer = b"%d" % len(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer))
        if not line.startswith("head"):
            writer.write(answer)
        await writer.drain()
        return True


async def read_body(named: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    if named.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(named.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return body


class Load:
    """Clients of all kinds, each asking without end, with a pause between."""

    def __init__(self, port: int, pause: float = PAUSE) -> None:
        self.port = port
        self.outcomes: Counter[str] = Counter()
        self._pause = pause
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *kinds: Callable[["Load", Streams], Awaitable[None]]) -> None:
        self._tasks += [asyncio.create_task(self._repeat(kind)) for kind in kinds]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, kind: Callable[["Load", Streams], Awaitable[None]]) -> None:
        while True:
            streams = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                await kind(self, streams)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.outcomes["broken"] += 1
            finally:
                streams[1].close()
            await asyncio.sleep(self._pause)

    async def ask(self, streams: Streams, request: bytes, size: int) -> tuple[str, bytes]:
        """Send a request, take its whole answer, and count its status. `size`: of a good answer's body."""
        reader, writer = streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = head[9:12].decode()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(0 if request.startswith(b"HEAD") else length)
        self.outcomes[status] += 1
        if status == "200" and length != size:
            self.outcomes["wrong length"] += 1
        if b"connection: close" in head and b"Connection: close" not in request:
            raise StopAsyncIteration
        await asyncio.sleep(self._pause)
        return status, body


async def kept(load: Load, streams: Streams) -> None:
    """Small requests on one connection, HEAD between."""
    with contextlib.suppress(StopAsyncIteration):
        while True:
            await load.ask(streams, b"GET /small HTTP/1.1\r\nHost: a.example\r\n\r\n", 2)
            await load.ask(streams, b"HEAD /small HTTP/1.1\r\nHost: a.example\r\n\r\n", 2)


async def single(load: Load, streams: Streams) -> None:
    """One request per connection."""
    await load.ask(streams, b"GET /small HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", 2)


async def large(load: Load, streams: Streams) -> None:
    """Downloads, one after the other."""
    with contextlib.suppress(StopAsyncIteration):
        while True:
            await load.ask(streams, b"GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n", LARGE)


async def posting(load: Load, streams: Streams) -> None:
    """Bodies with a length and in chunks."""
    head = b"POST /p HTTP/1.1\r\nHost: a.example\r\n"
    counted = head + b"Content-Length: %d\r\n\r\n%b" % (len(MESSAGE), MESSAGE)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(MESSAGE), MESSAGE)
    with contextlib.suppress(StopAsyncIteration):
        while True:
            for request in (counted, chunked):
                _, body = await load.ask(streams, request, 4)
                if body != b"%d" % len(MESSAGE):
                    load.outcomes["wrong body"] += 1


async def tunnel(load: Load, streams: Streams) -> None:
    """An upgrade that is held, and what it carries."""
    reader, writer = streams
    fields = b"Host: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    writer.write(b"GET /tunnel HTTP/1.1\r\n" + fields)
    status = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode()
    load.outcomes[status] += 1
    for _ in range(500):
        writer.write(MESSAGE)
        if await reader.readexactly(len(MESSAGE)) != MESSAGE:
            load.outcomes["wrong echo"] += 1
        load.outcomes["echo"] += 1
        await asyncio.sleep(0.02)
