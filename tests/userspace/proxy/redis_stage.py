"""RedisCounts in this process, and what it answers."""

import asyncio
from typing import Any

from tests.serving import Serving
from userspace.plugins.counting import SINGLE, Answer, Script, Servers
from userspace.proxy.naming import Naming
from userspace.proxy.redis_counts import RedisCounts

PATIENCE = 20.0
ADD = Script.of("return {redis.call('INCRBY', KEYS[1], ARGV[1])}")


SLOW: dict[str, Any] = {"connect_timeout": PATIENCE, "timeout": PATIENCE}


def at(port: int, **rest: Any) -> Servers:
    return Servers(SINGLE, (("127.0.0.1", port),), **{**SLOW, **rest})


class Asker:
    """`told` is what was said on standard error."""

    def __init__(self, authorities: str = "", **names: tuple[str, ...]) -> None:
        self.told: list[str] = []
        loop = asyncio.get_running_loop()
        self.counts = RedisCounts(loop, Naming(loop, names), self.told.append, authorities)

    def put(self, servers: Servers, key: str = "k", script: Script = ADD) -> "asyncio.Future[Answer]":
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.counts.ask(servers, script, key, ("1",), answer.set_result)
        return answer

    async def ask(self, servers: Servers, key: str = "k", script: Script = ADD) -> Answer:
        return await asyncio.wait_for(self.put(servers, key, script), PATIENCE)

    async def close(self) -> None:
        await self.counts.close(PATIENCE)


class Silent:
    """A server that says what it is made to, to each connection, and then nothing more. `heard` counts connections."""

    def __init__(self, *sayings: bytes) -> None:
        self._sayings = list(sayings)
        self._serving = Serving(self._serve)
        self.heard = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += 1
        while await reader.read(4096):
            writer.write(self._sayings.pop(0) if self._sayings else b"")

    async def start(self) -> int:
        return await self._serving.start()

    async def stop(self) -> None:
        await self._serving.stop()
