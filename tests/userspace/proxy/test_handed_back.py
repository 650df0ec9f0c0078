"""Connections that come back from the node."""

import socket
from pathlib import Path

from tests.userspace.proxy.fake_node import FakeNode, Question
from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from tests.userspace.proxy.test_splice_exchange import AUTO, answer, ask, asked
from userspace.obs import durations
from userspace.proxy.connection import ClientConnection
from userspace.proxy.handed_back import MAX_DOUBLINGS, HandedBack, adopt

LONG_AGO_NS = 1


async def spliced(stage: Stage, node: FakeNode) -> tuple[Speaker, Question]:
    client, question = await asked(stage, node)
    node.spliced(question)
    await client.hear(len(answer("/2")))
    await stage.until(lambda: not stage.shared.connections)
    return client, question


def only(stage: Stage) -> ClientConnection:
    [connection] = stage.shared.connections
    return connection


async def test_its_request_is_served_and_it_may_go_again_at_once(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            assert question.message["client"]["backs"] == 0
            await client.say(get("/3"))
            node.back(question, client=question.message["client"], address=["203.0.113.9", 9], at=LONG_AGO_NS)
            again = await node.question()
            connection = only(stage)
            own = client.writer.get_extra_info("sockname")
            # Who it is was noted; the address is for a node that has lost the note.
            assert (connection.peer.address, connection.peer.port, connection.backs) == (*own[:2], 1)
            assert connection.peer.server_port == stage.port
            node.spliced(again)
            assert (await client.hear_message())[1] == b"GET /3 HTTP/1.1"
            await stage.until(lambda: not stage.shared.connections)
        totals, decided = stage.shared.counters.totals, stage.shared.counters.decided
        assert (totals["accepted"], totals["splices_back"], totals["splices_guarded"]) == (1, 1, 2)
        assert (decided[len(durations.BOUNDS)], sum(decided[: durations.SUM])) == (1, 1)
        assert [line["path"] for line in stage.log_lines()] == ["/1", "/2", "/3"]


async def test_what_it_was_decided_on_is_told_as_covered_though_it_may_not_go(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            first = question.message["guard"]
            await client.say(get("/3"))
            node.back(question, client={**question.message["client"], "backs": 4})
            assert (await client.hear_message())[1] == b"GET /3 HTTP/1.1"
            await stage.until(lambda: len(node.covered) == 2)
            assert [message["decision"] for message in node.covered] == [first["decision"]] * 2
            assert node.covered[1]["path"] == first["hashes"][2] != node.covered[0]["path"]
            assert not node.is_asked


async def test_half_a_request_waits_for_its_rest_no_longer_than_others(tmp_path: Path) -> None:
    options = {**AUTO, "settings": {**AUTO["settings"], "header_timeout": 0.1}}
    async with Stage(tmp_path, hello, **options) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            await client.say(b"GET /3 HTT")
            node.back(question, client=question.message["client"], at=LONG_AGO_NS)
            assert (await client.hear_end()).startswith(b"HTTP/1.1 408 ")
            assert not any(stage.shared.counters.decided)  # that wait was its client's


async def test_a_restarted_node_knows_the_address_only(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            node.back(question, client=None, address=["203.0.113.9", 9])
            await stage.until(lambda: bool(stage.shared.connections))
            assert only(stage).peer[:4] == ("203.0.113.9", b"203.0.113.9", 9, "127.0.0.1")
            assert await ask(client, "/3") == b"GET /3 HTTP/1.1"


async def test_without_any_note_the_socket_says_who_it_is(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            node.back(question)
            await stage.until(lambda: bool(stage.shared.connections))
            assert only(stage).peer.port == client.writer.get_extra_info("sockname")[1]


async def test_the_limit_of_all_connections_holds_for_it_too(tmp_path: Path) -> None:
    options = {**AUTO, "settings": {**AUTO["settings"], "max_connections": 1}}
    async with Stage(tmp_path, hello, **options) as stage:
        with FakeNode(stage.shared) as node:
            client, question = await spliced(stage, node)
            other = await stage.client()
            await ask(other, "/1")
            node.back(question, client=question.message["client"])
            assert (await client.hear_head()).startswith(b"HTTP/1.1 503 ")
            assert stage.shared.counters.totals["refused"] == 1


async def test_one_that_keeps_coming_back_stays_longer_each_time(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:

        def asks_at(backs: int) -> int:
            return HandedBack(stage.shared, {"client": {"peer": ["192.0.2.1", 1, "::1", 2], "backs": backs}}).splice_at

        assert [asks_at(backs) for backs in range(5)] == [1, 2, 4, 8, 16]
        assert asks_at(10_000) == 2 << MAX_DOUBLINGS


async def test_what_can_not_be_adopted_is_closed_and_told(tmp_path: Path) -> None:
    troubles: list[str] = []
    async with Stage(tmp_path, hello, **AUTO) as stage:
        stage.shared.on_trouble = troubles.append
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        adopt(stage.shared, near, {})
        await stage.until(lambda: bool(troubles))
        assert troubles[0].startswith("splicing: a connection did not come back: ")
        assert near.fileno() == -1 and not stage.shared.adopting and not stage.shared.connections
        far.close()
