"""Conversations that are limited by what a Redis server counts, also while it is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.redis_server import RedisServer
from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from userspace.proxy import redis_counts
from userspace.proxy.naming import Naming
from userspace.proxy.outbox import Outbox
from userspace.proxy.redis_counts import RedisCounts

COUNT = {"count": 2, "time_window": 3600}


@asynccontextmanager
async def limited(folder: Path, server: RedisServer, plugin: str, **conf: Any) -> AsyncIterator[Stage]:
    """A route that has `plugin`, whose counts stand in `server`."""
    where = {"policy": "redis", "redis_host": "127.0.0.1", "redis_port": server.port, "redis_timeout": 20_000}
    async with Stage(folder, hello, route={"plugins": {plugin: {**where, **conf}}}) as stage:
        loop = asyncio.get_running_loop()
        naming = Naming(loop, {})
        counts = stage.env.counts = RedisCounts(loop, naming, lambda text: None)
        stage.env.outbox = Outbox(loop, naming, lambda text: None)
        yield stage
        await counts.close(20)


async def ask(stage: Stage, times: int = 1) -> list[tuple[int, bytes | None]]:
    """(status, what is left) of each of so many requests."""
    client = await stage.client()
    return [await _one(client) for _ in range(times)]


async def _one(client: Speaker) -> tuple[int, bytes | None]:
    await client.say(get())
    head, _ = await client.hear_message()
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return int(head.split()[1]), lines.get(b"X-RateLimit-Remaining")


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_counts, "REST", 0)


@pytest.mark.parametrize("more", [{}, {"window_type": "sliding"}])
async def test_two_gateways_share_what_they_let_pass(tmp_path: Path, more: dict[str, Any]) -> None:
    with RedisServer(tmp_path) as server:
        async with limited(tmp_path, server, "limit-count", **COUNT, **more) as one:
            assert await ask(one, 3) == [(200, b"1"), (200, b"0"), (503, b"0")]
        async with limited(tmp_path, server, "limit-count", **COUNT, **more) as two:
            assert await ask(two) == [(503, b"0")]


async def test_with_an_interval_the_other_gateway_hears_of_it_a_little_later(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with limited(tmp_path, server, "limit-count", **COUNT, sync_interval=0.1) as one:
            assert await ask(one, 3) == [(200, b"1"), (200, b"0"), (503, b"0")]
            await one.until(lambda: "$1\r\n2\r\n" in server.call("GET", _only_key(server)))
        async with limited(tmp_path, server, "limit-count", **COUNT, sync_interval=0.1) as two:
            assert await ask(two) == [(503, b"0")]


def _only_key(server: RedisServer) -> str:
    return server.call("RANDOMKEY").split("\r\n")[1]


@pytest.mark.parametrize("degrades", [False, True])
async def test_while_redis_is_gone_a_request_fails_or_passes_as_configured(tmp_path: Path, degrades: bool) -> None:
    with RedisServer(tmp_path) as server:
        async with limited(tmp_path, server, "limit-count", **COUNT, allow_degradation=degrades) as stage:
            assert await ask(stage) == [(200, b"1")]
            server.stop()
            assert await ask(stage, 2) == [(200, None) if degrades else (500, None)] * 2
            server.start()
            assert await ask(stage, 3) == [(200, b"1"), (200, b"0"), (503, b"0")]


async def test_the_error_says_what_failed(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with limited(tmp_path, server, "limit-count", **COUNT, redis_password="wrong") as stage:
            client = await stage.client()
            await client.say(get())
            head, body = await client.hear_message()
            assert head.startswith(b"HTTP/1.1 500 ") and body == b'{"error_msg":"failed to limit count"}\n'


async def test_a_leaky_bucket_stands_there_too(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        bucket = {"rate": 0.001, "burst": 1, "nodelay": True, "key": "remote_addr", "rejected_code": 429}
        async with limited(tmp_path, server, "limit-req", **bucket) as stage:
            assert [status for status, _ in await ask(stage, 3)] == [200, 200, 429]
            server.stop()
            assert [status for status, _ in await ask(stage)] == [500]


async def test_those_who_are_here_give_back_their_place(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        conf = {"conn": 1, "burst": 0, "default_conn_delay": 0.1, "key": "remote_addr"}
        async with limited(tmp_path, server, "limit-conn", **conf) as stage:
            for _ in range(3):
                assert await ask(stage) == [(200, None)]
                await stage.until(lambda: ":0\r\n" in server.call("DBSIZE"))
            server.stop()
            assert [status for status, _ in await ask(stage)] == [500]
        async with limited(tmp_path, server, "limit-conn", **conf, allow_degradation=True) as stage:
            assert [status for status, _ in await ask(stage)] == [200]
