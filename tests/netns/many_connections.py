"""Script for the client machine: `many_connections.py ADDRESS COUNT HOST...`, as many connections at the same time.

Each is opened and asked once; when all are open, each is asked again. Prints one JSON object:
{"first": {status: n}, "second": {status: n}, "open_together": n, "failed": {what: n}}.
"""

import asyncio
import collections
import json
import re
import resource
import sys
from collections.abc import Sequence

OPENING_AT_ONCE = 256
WITHIN = 50.0  # seconds for each of the two rounds: less than the gateways' idle_timeout


class Kept(asyncio.Protocol):
    """One connection; `answer` resolves to the status of the request that is under way."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            self.received = body[int(length[1]) :]
            self.answer.set_result(head.split(b" ", 2)[1].decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("closed before the answer"))

    async def ask(self, host: str) -> str:
        self.answer = asyncio.get_running_loop().create_future()
        if self.is_lost:
            raise ConnectionError("closed between requests")
        self.transport.write(f"GET /many HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return await self.answer


async def run(address: str, count: int, hosts: Sequence[str]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    kept: dict[int, Kept] = {}
    failed: collections.Counter[str] = collections.Counter()
    turn = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(number: int) -> str | None:
        try:
            async with turn, asyncio.timeout(WITHIN):
                if number not in kept:
                    _, kept[number] = await loop.create_connection(Kept, address, 80)
                return await kept[number].ask(hosts[number % len(hosts)])
        except (OSError, TimeoutError) as error:
            failed[f"{type(error).__name__}: {error}"] += 1
            return None

    first = collections.Counter(await asyncio.gather(*map(one, range(count))))
    open_together = sum(not connection.is_lost for connection in kept.values())
    second = collections.Counter(await asyncio.gather(*map(one, range(count))))
    for connection in kept.values():
        connection.transport.close()
    return {"first": first, "second": second, "open_together": open_together, "failed": failed}


if __name__ == "__main__":
    wanted = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + 1000, max(wanted + 1000, 20000)))
    json.dump(asyncio.run(run(sys.argv[1], wanted, sys.argv[3:])), sys.stdout)
