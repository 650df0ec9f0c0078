"""Tunnels and streams that the node takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.fake_node import ESTABLISHED, FakeNode, Question
from tests.userspace.proxy.stage import Speaker, Stage, get
from tests.userspace.proxy.test_stream_accept import Streams, greet
from userspace.proxy import splicing

ASK = get("/chat", "Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
OPAQUE: dict[str, Any] = {"route": {"enable_websocket": True, "splice": "opaque"}}
STREAM = {"r": {"splice": "opaque"}}


async def socket_server(speaker: Speaker) -> None:
    await speaker.hear_head()
    await speaker.say(SWITCH + b"hello")
    while data := await speaker.reader.read(65536):
        await speaker.say(data)


@contextlib.asynccontextmanager
async def upgraded(folder: Path, **options: Any) -> AsyncIterator[tuple[Stage, FakeNode, Speaker]]:
    async with Stage(folder, socket_server, **(options or OPAQUE)) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(ASK)
            yield stage, node, client
    if options:
        return


async def carries(question: Question, client: Speaker, endpoint: Speaker | None = None) -> None:
    """Bytes pass through the node's descriptors, and nobody was told that the worker let go."""
    assert question.states() == [ESTABLISHED] * 2
    loop = asyncio.get_running_loop()
    await client.say(b"up")
    assert await loop.sock_recv(question.client, 2) == b"up"
    question.client.send(b"down")
    assert await client.hear(4) == b"down"


async def test_a_tunnel_is_handed_over_with_the_answer_that_opens_it(tmp_path: Path) -> None:
    async with upgraded(tmp_path) as (stage, node, client):
        question = await node.question()
        message = question.message
        assert (message["kind"], message["tail"], "guard" in message) == ("opaque", len(SWITCH) + 5, False)
        assert (message["route"], message["endpoint"]) == ("r1", stage.addresses[0])
        assert (message["log"]["sticky"], message["log"]["vpc_id"]) == (None, None)
        node.spliced(question)
        assert await client.hear_head() == SWITCH and await client.hear(5) == b"hello"
        await stage.until(lambda: not stage.shared.connections and not stage.shared.tunnels)
        await carries(question, client)
        assert stage.shared.pools.counts() == (0, 0)
        [line] = stage.log_lines()
        assert (line["status"], line["splice"], line["bytes_out"], line["error"]) == (
            101,
            "opaque",
            len(SWITCH) + 5,
            None,
        )


async def test_one_that_is_refused_stays_a_tunnel(tmp_path: Path) -> None:
    async with upgraded(tmp_path) as (stage, node, client):
        node.refused(await node.question(), "loopback")
        assert await client.hear(len(SWITCH) + 5) == SWITCH + b"hello"
        for word in (b"one", b"two"):
            await client.say(word)
            assert await client.hear(3) == word
        assert not node.is_asked
        await client.close()
        await stage.until(lambda: not stage.shared.connections)
        [line] = stage.log_lines()
        assert "splice" not in line and line["bytes_out"] == len(SWITCH) + 11


async def test_a_client_that_is_in_the_way_is_waited_for_three_times(tmp_path: Path) -> None:
    async with upgraded(tmp_path) as (_, node, client):
        sent = [SWITCH + b"hello", b"one", b"two"]
        for expected in sent:
            question = await node.question()
            assert question.message["tail"] == len(expected)
            await client.say(b"one" if expected is sent[0] else b"two")
            node.refused(question, "busy")
            assert await client.hear(len(expected)) == expected
        assert await client.hear(3) == b"two"
        assert not node.is_asked


async def test_the_second_moment_may_succeed(tmp_path: Path) -> None:
    async with upgraded(tmp_path) as (stage, node, client):
        node.refused(await node.question(), "busy")
        await client.hear(len(SWITCH) + 5)
        await client.say(b"ping")
        question = await node.question()
        assert question.message["tail"] == 4
        node.spliced(question)
        assert await client.hear(4) == b"ping"
        await stage.until(lambda: not stage.shared.connections)
        await carries(question, client)


async def test_what_the_client_sends_ahead_keeps_the_first_moment_from_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, socket_server, **OPAQUE) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(ASK + b"ahead")
            assert await client.hear(len(SWITCH) + 5) == SWITCH + b"hello"
            question = await node.question()
            assert question.message["tail"] == 5
            node.refused(question, "state")
            assert await client.hear(5) == b"ahead"


async def test_a_tunnel_outlives_the_node(tmp_path: Path) -> None:
    async with upgraded(tmp_path) as (_, node, client):
        await node.question()
        node.die()
        assert await client.hear(len(SWITCH) + 5) == SWITCH + b"hello"
        await client.say(b"still")
        assert await client.hear(5) == b"still"


async def test_a_node_that_is_late_may_still_say_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicing, "ANSWER_SECONDS", 0.02)
    async with upgraded(tmp_path) as (stage, node, client):
        question = await node.question()
        assert await client.hear(len(SWITCH) + 5) == SWITCH + b"hello"
        await stage.until(lambda: not stage.shared.connections)
        await carries(question, client)


@pytest.mark.parametrize("who", ["client", "endpoint"])
async def test_a_side_that_goes_away_meanwhile_ends_the_tunnel(tmp_path: Path, who: str) -> None:
    async with upgraded(tmp_path) as (stage, node, client):
        question = await node.question()
        (client if who == "client" else stage.endpoint.speakers[0]).reset()
        await asyncio.sleep(0.01)
        node.refused(question, "state")
        if who == "endpoint":
            assert await client.hear_end() == SWITCH + b"hello"
            await client.close()
        await stage.until(lambda: not stage.shared.connections and not stage.shared.tunnels)


@pytest.mark.parametrize(
    "options",
    [
        {"route": {"enable_websocket": True, "splice": "off"}},
        {**OPAQUE, "settings": {"max_connections_per_client": 5}},
        {**OPAQUE, "limits": {"connections": 5}},
        {**OPAQUE, "limits": {"requests": 5}},
        {**OPAQUE, "type": "least_conn"},
    ],
    ids=["off", "per client", "connections", "requests", "least_conn"],
)
async def test_nothing_is_asked_where_somebody_counts_connections(tmp_path: Path, options: dict[str, Any]) -> None:
    async with upgraded(tmp_path, **options) as (stage, _, client):
        assert await client.hear(len(SWITCH) + 5) == SWITCH + b"hello"
        assert stage.shared.counters.totals["splices_asked"] == 0


async def test_a_stream_is_handed_over_with_the_first_bytes_of_its_endpoint(tmp_path: Path) -> None:
    async with Streams(tmp_path, greet, routes=STREAM) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            question = await node.question()
            assert (question.message["kind"], question.message["tail"]) == ("opaque", 11)
            assert (question.message["route"], question.message["upstream"]) == ("r", "u1")
            node.spliced(question)
            assert await client.hear(11) == b"220 hello\r\n"
            await stage.until(lambda: not stage.shared.bare)
            await carries(question, client)
            [line] = stage.log_lines()
            assert (line["splice"], line["bytes_out"], line["error"]) == ("opaque", 11, None)


async def test_a_stream_whose_client_speaks_first_goes_with_the_answer(tmp_path: Path) -> None:
    async def upper(speaker: Speaker) -> None:
        while data := await speaker.reader.read(100):
            await speaker.say(data.upper())

    async with Streams(tmp_path, upper, routes=STREAM) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(b"abc")
            question = await node.question()
            node.refused(question, "busy")
            assert await client.hear(3) == b"ABC"
            await client.say(b"def")
            question = await node.question()
            node.spliced(question)
            assert await client.hear(3) == b"DEF"
            await stage.until(lambda: not stage.shared.bare)
            await carries(question, client)


@pytest.mark.parametrize("policy", [{"splice": "off"}, {}])
async def test_a_stream_stays_where_nobody_says_otherwise(tmp_path: Path, policy: dict[str, str]) -> None:
    async with Streams(tmp_path, greet, routes={"r": policy}) as stage:  # the stage's own policy is off
        with FakeNode(stage.shared):
            client = await stage.client()
            assert await client.hear(11) == b"220 hello\r\n"
            assert stage.shared.counters.totals["splices_asked"] == 0
