"""A TCP server in a test's own loop that leaves no connection to the collector, whose complaint a later test would get.

asyncio.start_server() leaves one: what it has accepted just before it is closed meets an assertion of its own, and what
has a coroutine that is cancelled before its first step is closed by nobody.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Serving:
    """Runs `serve` for each connection and closes it behind; an end that comes too early is no failure. `port`: 0 until
    it is started, unless given."""

    def __init__(self, serve: Serve, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._host = host
        self._tls = tls
        self._listening: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = port

    async def start(self) -> int:
        self._listening = socket.create_server((self._host, self.port), backlog=512)
        self._listening.setblocking(False)
        # Inherited by what it accepts; asyncio itself does it for sockets that name their protocol only.
        self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._listening.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)
        return self.port

    async def stop(self) -> None:
        """As a process that dies: no listener, and every connection cut."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        listening.close()
        await asyncio.sleep(0)  # each has taken its first step then
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close their sockets in the next turn

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            sock, _ = listening.accept()
            sock.setblocking(False)
            task = asyncio.ensure_future(self._one(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, sock: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=self._tls)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                await self._serve(reader, writer)
            except asyncio.CancelledError:
                transport.abort()
                raise
            finally:
                writer.close()
