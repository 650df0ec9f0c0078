"""Pickers at work in exchanges: what they are given, what they are told, and across retries."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get


async def tell_port(speaker: Speaker) -> None:
    """Answers every request with its own port."""
    port = b"%d" % speaker.writer.get_extra_info("sockname")[1]
    while True:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(port), port))


async def hang_up(speaker: Speaker) -> None:
    """Takes a request and answers nothing."""
    await speaker.hear_head()


async def ask(stage: Stage, target: str = "/", *fields: str) -> tuple[int, bytes]:
    client = await stage.client()
    await client.say(get(target, *fields))
    head, body = await client.hear_message()
    return int(head.split(b" ")[1]), body


@pytest.mark.parametrize(
    ("hash_on", "key", "target", "field"),
    [
        ("vars", "arg_user", "/?user={}", ""),
        ("header", "X-User", "/", "X-User: {}"),
        ("cookie", "user", "/", "Cookie: a=b; user={}"),
        ("vars_combinations", "$uri-$arg_user", "/x?user={}", ""),
    ],
)
async def test_equal_keys_go_to_one_endpoint_and_others_spread(
    tmp_path: Path, hash_on: str, key: str, target: str, field: str
) -> None:
    async with Stage(tmp_path, *[tell_port] * 3, type="chash", hash_on=hash_on, key=key) as stage:
        homes: dict[int, set[bytes]] = {}
        for _ in range(3):
            for user in range(12):
                _, body = await ask(stage, target.format(user), *([field.format(user)] if field else []))
                homes.setdefault(user, set()).add(body)
        assert all(len(home) == 1 for home in homes.values())
        assert len(set.union(*homes.values())) > 1


async def test_a_key_whose_endpoint_is_dead_goes_on_clockwise_always_to_the_same(tmp_path: Path) -> None:
    async with Stage(tmp_path, *[tell_port] * 4, type="chash", key="arg_user") as stage:
        before = {user: (await ask(stage, f"/?user={user}"))[1] for user in range(24)}
        dead = stage.endpoint
        await dead.close()
        stage.shared.pools.close()
        for _ in range(2):
            after = {user: (await ask(stage, f"/?user={user}"))[1] for user in range(24)}
            moved = {user for user in after if after[user] != before[user]}
            assert moved == {user for user in before if before[user] == b"%d" % dead.port}
        assert len(moved) > 0 and stage.shared.counters.totals["retries"] >= len(moved)


@pytest.mark.parametrize("type", ["roundrobin", "chash", "least_conn", "ewma", "random_two"])
async def test_whatever_the_type_each_endpoint_is_tried_once_and_then_it_is_a_502(tmp_path: Path, type: str) -> None:
    dead = ["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"]
    async with Stage(tmp_path, *dead, type=type, key="uri", settings={}) as stage:
        status, _ = await ask(stage)
        assert status == 502 and stage.shared.counters.totals["retries"] == 2


@pytest.mark.parametrize("type", ["least_conn", "ewma", "random_two"])
async def test_the_picker_hears_of_each_end_whatever_it_was(tmp_path: Path, type: str) -> None:
    async with Stage(tmp_path, tell_port, hang_up, "127.0.0.1:1", type=type) as stage:
        loads = stage.router._slots["u1"].compiled.loads
        assert 200 in [(await ask(stage))[0] for _ in range(12)]
        assert loads and not any(load.under_way for load in loads._of.values())
        gone = await stage.client()
        await gone.say(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n1")
        await stage.until(lambda: any(load.under_way for load in loads._of.values()))
        gone.reset()
        await stage.until(lambda: not any(load.under_way for load in loads._of.values()))


async def test_least_conn_sends_to_the_idle_one_while_a_long_answer_is_under_way(tmp_path: Path) -> None:
    going = asyncio.Event()

    async def slow_once(speaker: Speaker) -> None:
        """The first request waits; like tell_port otherwise."""
        port = b"%d" % speaker.writer.get_extra_info("sockname")[1]
        while True:
            head = await speaker.hear_head()
            if b"/slow" in head:
                await going.wait()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(port), port))

    async with Stage(tmp_path, slow_once, slow_once, type="least_conn") as stage:
        slow = await stage.client()
        await slow.say(get("/slow"))
        loads = stage.router._slots["u1"].compiled.loads
        await stage.until(lambda: any(load.under_way for load in loads._of.values()))
        quick = {(await ask(stage))[1] for _ in range(5)}
        going.set()
        _, body = await slow.hear_message()
        assert len(quick) == 1 and body not in quick


async def test_a_new_endpoint_gets_little_at_first(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"warm_up_conf": {"slow_start_time_seconds": 3600, "min_weight_percent": 1}}
    async with Stage(tmp_path, tell_port, tell_port, **fields) as stage:
        both = [f"127.0.0.1:{endpoint.port}" for endpoint in stage.endpoints]  # type: ignore[union-attr]
        for nodes in (both[:1], both):
            upstream = {"id": "u1", "type": "roundrobin", "nodes": dict.fromkeys(nodes, 1), **fields}
            stage.put(("upstreams/u1", upstream))
        seen = Counter([(await ask(stage))[1] for _ in range(30)])
        assert seen[b"%d" % int(both[0].split(":")[1])] == 30 or min(seen.values()) == 1
        stage.router.warm()
        assert stage.router._cold == {"u1"}


async def test_a_tunnel_counts_until_it_ends(tmp_path: Path) -> None:
    async def echo(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        await speaker.hear_end()

    async with Stage(tmp_path, echo, echo, type="least_conn", route={"enable_websocket": True}) as stage:
        loads = stage.router._slots["u1"].compiled.loads
        clients = [await stage.client() for _ in range(4)]
        for client in clients:
            await client.say(get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k"))
            await client.hear_head()
        assert [load.under_way for load in loads._of.values()] == [2, 2]
        for client in clients:
            await client.close()
        await stage.until(lambda: not any(load.under_way for load in loads._of.values()))
