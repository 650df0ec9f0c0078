"""Conversations that leave HTTP: upgrades and CONNECT, what is carried, and how they end."""

import asyncio
import contextlib
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import DATE, Script, Speaker, Stage, get, hello

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n"
ASK = get("/chat", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k")
CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
WEBSOCKET: dict[str, Any] = {"route": {"enable_websocket": True}}
TUNNELS: dict[str, Any] = {"route": {"methods": ["CONNECT"]}, "settings": {"allow_connect": True}}


async def echo(speaker: Speaker) -> None:
    """Takes up the upgrade and gives back what comes until the end of the stream."""
    await speaker.hear_head()
    await speaker.say(SWITCH)
    while data := await speaker.reader.read(65536):
        await speaker.say(data)


async def over(stage: Stage) -> None:
    await stage.until(lambda: stage.shared.tunnels == 0 and not stage.shared.connections)


async def test_an_upgrade_is_asked_for_in_the_endpoints_own_connection_and_then_bytes_pass_both_ways(
    tmp_path: Path,
) -> None:
    heads: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heads.append(await speaker.hear_head())
        await speaker.say(SWITCH + b"first")
        assert await speaker.hear(6) == b"\x00GET /"
        await speaker.say(b"\xff\xfe")
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        head = await client.hear_head()
        assert (
            head == b"HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert await client.hear(5) == b"first"
        assert stage.shared.tunnels == 1
        await client.say(b"\x00GET /")
        assert await client.hear(2) == b"\xff\xfe"
        assert stage.shared.pools.counts() == (1, 0)
        await client.close()
        await over(stage)
        assert stage.shared.pools.counts() == (0, 0)
        [line] = stage.log_lines()
        assert (line["status"], line["upstream_status"], line["error"]) == (101, 101, None)
        assert line["bytes_in"] == len(ASK) + 6
        assert line["bytes_out"] == len(head) + 7
        assert stage.shared.counters.totals["tunnels"] == stage.shared.counters.totals["requests"] == 1
    [asked] = heads
    assert asked.endswith(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b"\r\nSec-WebSocket-Key: k\r\n" in asked and asked.lower().count(b"\r\nconnection:") == 1


async def test_bytes_that_the_client_sends_ahead_of_the_answer_follow_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK + get("/not-a-request"))
        await client.hear_head()
        assert await client.hear(len(get("/not-a-request"))) == get("/not-a-request")


@pytest.mark.parametrize(
    ("options", "request_head"),
    [
        ({}, ASK),
        (WEBSOCKET, ASK.replace(b"HTTP/1.1", b"HTTP/1.0")),
        (WEBSOCKET, ASK.replace(b"Upgrade: websocket", b"Upgrade: h2c")),
        (WEBSOCKET, get("/", "Upgrade: websocket")),
    ],
    ids=["not enabled", "HTTP/1.0", "h2c", "not named by Connection"],
)
async def test_an_upgrade_that_is_not_passed_on_leaves_an_ordinary_request(
    tmp_path: Path, options: dict[str, Any], request_head: bytes
) -> None:
    heads: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heads.append(await speaker.hear_head())
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with Stage(tmp_path, endpoint, **options) as stage:
        client = await stage.client()
        await client.say(request_head)
        _, body = await client.hear_message()
        assert body == b"ok"
    assert b"upgrade" not in heads[0].lower()


async def test_a_service_says_websocket_for_its_routes_and_a_route_has_the_last_word(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, route={"service_id": "s1"}) as stage:
        stage.put(("services/s1", {"id": "s1", "enable_websocket": True}))
        client = await stage.client()
        await client.say(ASK)
        assert (await client.hear_head()).startswith(b"HTTP/1.1 101")


async def test_an_upgrade_that_the_endpoint_declines_goes_on_as_http(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK + get("/next"))
        assert (await client.hear_message())[1] == b"GET /chat HTTP/1.1"
        assert (await client.hear_message())[1] == b"GET /next HTTP/1.1"


@pytest.mark.parametrize(
    "answer",
    [SWITCH.replace(b"websocket", b"h2c"), SWITCH.replace(b"Upgrade: websocket\r\n", b"")],
    ids=["another protocol", "none"],
)
async def test_a_switch_to_what_was_not_offered_is_a_502(tmp_path: Path, answer: bytes) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(answer)

    async with Stage(tmp_path, endpoint, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        head, _ = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 502")
        assert stage.shared.counters.errors == {"upstream bad_response": 1}


async def test_a_switch_in_the_middle_of_the_request_is_a_502(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(SWITCH)

    async with Stage(tmp_path, endpoint, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK[:-2] + b"Content-Length: 9\r\n\r\nhalf")
        head, _ = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 502") and b"Connection: close" in head


async def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(SWITCH)
        assert await speaker.hear_end() == b"question"
        await speaker.say(b"answer")

    async with Stage(tmp_path, endpoint, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        await client.say(b"question")
        client.writer.write_eof()
        assert await client.hear_end() == b"answer"
        await over(stage)


async def test_an_endpoint_that_is_lost_takes_the_client_with_it_after_its_last_bytes(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(SWITCH + b"last")
        await speaker.hear(1)
        speaker.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        speaker.reset()

    async with Stage(tmp_path, endpoint, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        assert await client.hear(4) == b"last"
        await client.say(b"!")
        assert await client.hear_end() == b""
        await over(stage)
        assert len(stage.log_lines()) == 1


@pytest.mark.parametrize("slow", ["client", "endpoint"])
async def test_a_side_that_does_not_read_holds_the_other_and_loses_nothing(tmp_path: Path, slow: str) -> None:
    size = 24 << 20
    go = asyncio.Event()

    async def pour(speaker: Speaker) -> None:
        for _ in range(size >> 16):
            await speaker.say(bytes(65536))
        speaker.writer.write_eof()

    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(SWITCH)
        if slow == "client":
            await pour(speaker)
            await speaker.hear_end()
        else:
            await go.wait()
            assert len(await speaker.hear_end()) == size

    async with Stage(tmp_path, endpoint, settings={"write_buffer_high": 65536}, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        [connection] = stage.shared.connections
        exchange = connection.exchange
        assert exchange is not None and exchange.tunnel is not None
        if slow == "client":
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
            sending = None
            full = exchange.tunnel._client_end.transport
        else:
            sending = asyncio.create_task(pour(client))
            full = exchange.tunnel._upstream_end.transport
        await stage.until(lambda: full.get_write_buffer_size() > 65536)
        assert full.get_write_buffer_size() < (1 << 20)
        go.set()
        if sending is None:
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]
            assert len(await client.hear_end()) == size
        else:
            await sending
            assert await client.hear_end() == b""
        await client.close()
        await over(stage)


async def test_a_tunnel_in_which_nothing_moves_ends_after_the_routes_read_timeout(tmp_path: Path) -> None:
    timeout = {"connect": 1, "send": 1, "read": 0.15}
    async with Stage(tmp_path, echo, timeout=timeout, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        for _ in range(4):  # each byte counts anew, in either direction
            await asyncio.sleep(0.08)
            await client.say(b"x")
            assert await client.hear(1) == b"x"
        assert await client.hear_end() == b""
        await over(stage)
        [line] = stage.log_lines()
        assert (line["status"], line["error"]) == (101, "tunnel_idle")
        assert line["request_ms"] > 400


async def test_configuration_changes_never_cut_a_tunnel(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        nodes = {"127.0.0.1:9": 1}
        stage.put(("upstreams/u1", {"id": "u1", "type": "roundrobin", "nodes": nodes}))
        stage.put(("routes/r1", None))
        stage.put(("upstreams/u1", None))
        await client.say(b"still here")
        assert await client.hear(10) == b"still here"


async def test_a_drain_lets_a_tunnel_go_on_until_it_is_cut(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, **WEBSOCKET) as stage:
        client = await stage.client()
        await client.say(ASK)
        await client.hear_head()
        stage.shared.is_draining = True
        [connection] = stage.shared.connections
        connection.drain()
        await client.say(b"on")
        assert await client.hear(2) == b"on"
        connection.cut()
        assert await client.is_reset()
        await over(stage)
        [line] = stage.log_lines()
        assert (line["status"], line["error"], line["bytes_out"]) == (101, "drained", line["bytes_out"])


async def test_connect_is_a_tunnel_where_it_is_allowed_and_a_route_lists_it(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heads.append(await speaker.hear_head())
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        with contextlib.suppress(asyncio.IncompleteReadError):
            await speaker.say(await speaker.hear(3))
            await speaker.hear(1)

    async with Stage(tmp_path, endpoint, **TUNNELS) as stage:
        client = await stage.client()
        await client.say(CONNECT + b"\x16\x03\x01")
        assert await client.hear_head() == b"HTTP/1.1 200 OK\r\n" + DATE + b"\r\n"
        assert await client.hear(8) == b"hello\x16\x03\x01"
    assert heads[0].startswith(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n")


@pytest.mark.parametrize(
    ("options", "status"),
    [({"route": {"methods": ["CONNECT"]}}, b"405"), ({"settings": {"allow_connect": True}}, b"404")],
    ids=["not allowed", "no route lists it"],
)
async def test_connect_is_refused_elsewhere(tmp_path: Path, options: dict[str, Any], status: bytes) -> None:
    async with Stage(tmp_path, hello, **options) as stage:
        client = await stage.client()
        await client.say(CONNECT)
        head = await client.hear_head()
        assert head.startswith(b"HTTP/1.1 " + status)
        assert stage.endpoint.accepted == 0


async def test_a_connect_that_the_endpoint_declines_goes_on_as_http(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        for _ in range(2):
            await speaker.hear_head()
            await speaker.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    script: Script = endpoint
    async with Stage(tmp_path, script, **TUNNELS) as stage:
        client = await stage.client()
        await client.say(CONNECT + CONNECT)
        for _ in range(2):
            head, body = await client.hear_message()
            assert head.startswith(b"HTTP/1.1 403") and body == b"no"
        assert stage.endpoint.accepted == 1
