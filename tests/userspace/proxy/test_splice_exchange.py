"""The hand-over at the end of a response, on real sockets: the node is played, the kernel is not."""

import asyncio
import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.fake_node import ESTABLISHED, FakeNode, Question
from tests.userspace.proxy.stage import DATE, Speaker, Stage, get, hello
from userspace.http.footprint import ALWAYS
from userspace.proxy import splicing

AUTO: dict[str, Any] = {"route": {"splice": "auto"}, "settings": {"real_ip_from": []}}


def answer(path: str) -> bytes:
    body = f"GET {path} HTTP/1.1".encode()
    return b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def ask(client: Speaker, path: str) -> bytes:
    await client.say(get(path))
    return (await client.hear_message())[1]


async def asked(stage: Stage, node: FakeNode) -> tuple[Speaker, Question]:
    """A client whose second response is held."""
    client = await stage.client()
    await ask(client, "/1")
    await client.say(get("/2"))
    return client, await node.question()


async def test_the_node_gets_both_connections_and_the_client_the_rest_of_its_response(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            assert not await quiet(client)
            message = question.message
            assert (
                message["kind"],
                message["edition"],
                message["route"],
                message["upstream"],
                message["endpoint"],
            ) == (
                *("guarded", 1, "r1", "u1"),
                stage.addresses[0],
            )
            assert message["tail"] == len(answer("/2"))
            revision = stage.shared.router.snapshot.revision
            assert message["log"] == {"revision": revision, "vpc_id": None, "sticky": None}
            assert (message["guard"]["mask"], len(message["guard"]["hashes"])) == (ALWAYS, 8)
            assert question.client.getpeername() == client.writer.get_extra_info("sockname")
            assert question.endpoint.getpeername()[1] == stage.endpoint.port
            node.spliced(question)
            assert await client.hear(len(answer("/2"))) == answer("/2")
            await stage.until(lambda: not stage.shared.connections and stage.shared.pools.counts() == (0, 0))
            # Nobody was told that the worker let go: no FIN, no RST, and the node's descriptors serve both ways.
            assert question.states() == [ESTABLISHED] * 2 and not client.reader.at_eof()
            await client.say(b"next")
            assert await receive(question.client, 4) == b"next"
            question.client.send(b"later")
            assert await client.hear(5) == b"later"
            question.endpoint.send(get("/3"))
            assert (await receive(question.endpoint, 15)).startswith(b"HTTP/1.1 200")
        lines = stage.log_lines()
        assert [(line["path"], line["status"], line.get("splice")) for line in lines] == [
            *(("/1", 200, None), ("/2", 200, "guarded")),
        ]
        assert lines[1]["bytes_out"] == len(answer("/2"))
        totals = stage.shared.counters.totals
        assert (totals["splices_asked"], totals["splices_guarded"], totals["requests"]) == (1, 1, 2)


@pytest.mark.parametrize("settings", [{"access_log": "off"}, {"access_log_spliced": False}])
async def test_the_node_hears_nothing_of_lines_where_there_are_none(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with Stage(tmp_path, hello, **AUTO | {"settings": AUTO["settings"] | settings}) as stage:
        with FakeNode(stage.shared) as node:
            _, question = await asked(stage, node)
            assert question.message["log"] is None


async def quiet(client: Speaker) -> bool:
    """True when something has come."""
    try:
        await asyncio.wait_for(client.reader.read(1), 0.02)
    except TimeoutError:
        return False
    return True


async def receive(sock: socket.socket, size: int) -> bytes:
    async with asyncio.timeout(5):
        return await asyncio.get_running_loop().sock_recv(sock, 1 << 16 if size > 10 else size)


@pytest.mark.parametrize(("reason", "asks"), [("busy", [2, 4]), ("epoch", [2, 4]), ("loopback", [2])])
async def test_one_that_is_refused_goes_on_as_if_nothing_had_been_asked(
    tmp_path: Path, reason: str, asks: list[int]
) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            asked_at = []
            for number in range(1, 7):
                await client.say(get(f"/{number}"))
                if number in asks:
                    node.refused(await node.question(), reason)
                    asked_at.append(number)
                assert (await client.hear_message())[1] == f"GET /{number} HTTP/1.1".encode()
            assert asked_at == asks and not node.is_asked
            assert stage.endpoint.accepted == 1 and stage.shared.pools.counts() == (0, 1)
        assert stage.shared.counters.totals["splices_refused"] == len(asks)
        assert not any("splice" in line for line in stage.log_lines())


async def test_a_client_that_speaks_meanwhile_is_heard_after_the_refusal(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            await client.say(get("/3") + get("/4"))
            await asyncio.sleep(0.01)
            node.refused(question, "state")
            assert [(await client.hear_message())[1][:6] for _ in range(3)] == [b"GET /2", b"GET /3", b"GET /4"]


async def test_an_endpoint_that_closes_meanwhile_gets_no_further_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            stage.endpoint.speakers[0].writer.close()
            await asyncio.sleep(0.01)
            node.refused(question, "state")
            assert (await client.hear_message())[1] == b"GET /2 HTTP/1.1"
            await stage.until(lambda: stage.shared.pools.counts() == (0, 0))
            assert await ask(client, "/3") == b"GET /3 HTTP/1.1"
            assert stage.endpoint.accepted == 2


@pytest.mark.parametrize("spliced", [True, False])
async def test_a_client_that_goes_away_meanwhile_takes_everything_with_it(tmp_path: Path, spliced: bool) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            client.reset()
            await asyncio.sleep(0.01)
            if spliced:
                node.spliced(question)
                question.endpoint.close()
            else:
                node.refused(question, "state")
            await stage.until(lambda: not stage.shared.connections and stage.shared.pools.counts()[0] == 0)
        assert stage.log_lines()[1]["status"] == 200


async def test_when_the_node_dies_the_response_is_whole_and_both_connections_end_cleanly(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, _ = await asked(stage, node)
            node.die()
            assert await client.hear_end() == answer("/2")
            await stage.until(lambda: not stage.shared.connections and stage.shared.pools.counts() == (0, 0))
            totals = stage.shared.counters.totals
            assert (totals["splices_unanswered"], totals["splices_guarded"]) == (1, 0)
            # The worker serves without it.
            other = await stage.client()
            for path in ("/1", "/2", "/3"):
                assert await ask(other, path) == f"GET {path} HTTP/1.1".encode()


async def test_a_node_that_does_not_answer_keeps_nobody_waiting_and_may_do_either_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicing, "ANSWER_SECONDS", 0.02)
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            assert await client.hear(len(answer("/2"))) == answer("/2")
            await stage.until(lambda: not stage.shared.connections)
            assert question.states() == [ESTABLISHED] * 2  # as if it had said `spliced`
            node.refused(question, "busy")
            assert await client.hear_end() == b""


async def test_of_a_long_response_only_the_last_bytes_are_held(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096

    async def long(speaker: Speaker) -> None:
        while True:
            await speaker.hear_message()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for at in range(0, len(body), 65536):
                await speaker.say(body[at : at + 65536])
                await asyncio.sleep(0)

    async with Stage(tmp_path, long, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await ask(client, "/1")
            hearing = asyncio.create_task(ask(client, "/2"))
            question = await node.question()
            assert question.message["tail"] <= 300_000
            node.spliced(question)
            assert hashlib.sha256(await hearing).digest() == hashlib.sha256(body).digest()
            await stage.until(lambda: not stage.shared.connections)
            assert question.states() == [ESTABLISHED] * 2


async def test_when_the_drain_is_over_what_is_held_is_still_written(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await asked(stage, node)
            node.splicing.close()
            for connection in list(stage.shared.connections):
                connection.cut()
            assert await client.hear(len(answer("/2"))) == answer("/2")
            assert question.states() == [ESTABLISHED] * 2


async def test_it_is_asked_from_the_request_on_that_the_setting_says(tmp_path: Path) -> None:
    options = {**AUTO, "settings": {**AUTO["settings"], "splice_after": 3}}
    async with Stage(tmp_path, hello, **options) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            assert await ask(client, "/1") == await ask(client, "/1")
            assert not node.is_asked
            await client.say(get("/1"))
            await node.question()


async def test_nothing_is_asked_before_there_is_a_key(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            node.splicing._key = None
            client = await stage.client()
            for path in ("/1", "/2", "/3", "/4"):
                await ask(client, path)
            assert stage.shared.counters.totals["splices_asked"] == 0
