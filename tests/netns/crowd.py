"""Many spliced connections of the client machine at once, and what is said on them."""

import asyncio
import json
import os
import re
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.netns.echo_upgraded import KEY
from userspace.lab.exec import connect
from userspace.lab.lab import Lab

PATIENCE = 60.0  # seconds for one answer: a lost packet is repeated meanwhile, a stalled connection is not forgiven


def allow_descriptors(count: int) -> None:
    """Let this process have `count` descriptors more than it may now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, soft + count), hard))


def opened(lab: Lab, address: str, port: int = 80) -> socket.socket:
    sock = connect(lab, "client", (address, port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def machine(sock: socket.socket, host: str) -> str:
    """Who answers a request on a kept connection; raises OSError, ConnectionError."""
    sock.sendall(f"GET /who HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and len(body) >= int(re.search(rb"(?i)content-length: *(\d+)", head)[1]):  # type: ignore[index]
            assert head.startswith(b"HTTP/1.1 200 "), head
            return str(json.loads(body)["machine"])
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed before the answer")
        data += more


def upgraded(lab: Lab, address: str, host: str, port: int = 80) -> socket.socket:
    """A connection that has left HTTP: what is sent on it comes back."""
    sock = opened(lab, address, port)
    words = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    sock.sendall(f"{words}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode())
    data = sock.recv(12, socket.MSG_WAITALL)
    if not data.startswith(b"HTTP/1.1 101"):
        sock.close()
        raise ConnectionError(data)
    while not data.endswith(b"\r\n\r\n") and (more := sock.recv(1)):
        data += more
    return sock


def comes_back(sock: socket.socket, size: int = 32) -> bool:
    """Whether an upgraded connection gives back what it is sent."""
    sent = os.urandom(size)
    sock.sendall(sent)
    return sock.recv(size, socket.MSG_WAITALL) == sent


def echoes(sock: socket.socket, size: int) -> bool:
    """True when as many bytes come back as they were sent."""
    sent, came = os.urandom(size), b""
    sending = threading.Thread(target=sock.sendall, args=(sent,))
    sending.start()
    while len(came) < size and (data := sock.recv(65536)):
        came += data
    sending.join()
    return came == sent


def broken(socks: list[socket.socket], works: Callable[[socket.socket], object]) -> Counter[str]:
    """What went wrong on which of them: nothing when `works` is true of all."""
    found: Counter[str] = Counter()
    for sock in socks:
        try:
            if not works(sock):
                found["wrong"] += 1
        except (OSError, AssertionError) as error:
            found[repr(error)[:100]] += 1
    return found


@dataclass
class Hammer:
    """Every connection asks on and on. `answers`: when the request was begun (time.monotonic()), and by whom it was
    answered; `failed`: what else happened."""

    socks: list[socket.socket]
    host: str
    answers: list[tuple[float, str]] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    is_over: bool = False

    def run(self) -> None:
        """Until `is_over`; in a thread of its own."""
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*map(self._one, self.socks))

    async def _one(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        ask = f"GET /who HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode()
        try:
            while not self.is_over:
                begun = time.monotonic()
                writer.write(ask)
                async with asyncio.timeout(PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"(?i)content-length: *(\d+)", head)
                    body = await reader.readexactly(int(length[1]) if length else 0)
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.failed[head.partition(b"\r\n")[0].decode()] += 1
                else:
                    self.answers.append((begun, json.loads(body)["machine"]))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.failed[repr(error)[:100]] += 1
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
