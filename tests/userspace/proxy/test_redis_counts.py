"""Questions to real Redis servers: to one that answers, one that dies, one that hangs; and more than there is room."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import unused_port
from tests.redis_server import RedisServer, cluster, sentinel
from tests.userspace.proxy.redis_stage import SLOW, Asker, Silent, at
from userspace.plugins.counting import CLUSTER, SENTINEL, Script, Servers
from userspace.proxy import redis_counts as module
from userspace.proxy.redis_cluster import slot_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[RedisServer]:
    with RedisServer(folder) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    shared.call("FLUSHALL")
    shared.call("SCRIPT", "FLUSH")
    return shared


async def test_many_who_ask_at_once_share_few_connections(server: RedisServer) -> None:
    asker = Asker()
    before = int(server.call("INFO", "stats").partition("total_connections_received:")[2].split("\r")[0])
    answers = await asyncio.gather(*(asker.ask(at(server.port)) for _ in range(500)))
    assert sorted(answer[0] for answer in answers if answer) == list(range(1, 501))
    after = int(server.call("INFO", "stats").partition("total_connections_received:")[2].split("\r")[0])
    assert after - before - 1 <= module.LANES
    assert (asker.counts.asked, asker.counts.failed, asker.counts.refused, asker.counts.waiting) == (500, 0, 0, 0)
    await asker.close()


async def test_no_more_connections_than_its_pool_are_opened(server: RedisServer) -> None:
    asker = Asker()
    before = int(server.call("INFO", "stats").partition("total_connections_received:")[2].split("\r")[0])
    await asyncio.gather(*(asker.ask(at(server.port, connections=1)) for _ in range(500)))
    after = int(server.call("INFO", "stats").partition("total_connections_received:")[2].split("\r")[0])
    assert after - before == 2  # one of them asks for these figures
    await asker.close()


async def test_a_script_that_the_server_forgot_is_taught_again(server: RedisServer) -> None:
    asker = Asker()
    assert await asker.ask(at(server.port)) == [1]
    server.call("SCRIPT", "FLUSH")
    assert await asker.ask(at(server.port)) == [2]
    await asker.close()


async def test_an_error_of_the_script_is_no_answer_and_the_others_get_theirs(server: RedisServer) -> None:
    asker = Asker()
    bad, good = await asyncio.gather(
        asker.ask(at(server.port), script=Script.of("return redis.call('NOSUCH')")), asker.ask(at(server.port))
    )
    assert (bad, good) == (None, [1]) and asker.counts.failed == 1
    assert asker.told[0].startswith(f"counts in redis 127.0.0.1:{server.port}: ResponseError: ")
    await asker.close()


async def test_databases_and_users_have_connections_of_their_own(server: RedisServer) -> None:
    server.call("ACL", "SETUSER", "alice", "on", ">pw", "~*", "+@all")
    asker = Asker()
    assert await asker.ask(at(server.port, database=1)) == [1]
    assert await asker.ask(at(server.port, username="alice", password="pw")) == [1]
    assert await asker.ask(at(server.port, username="alice", password="no")) is None
    assert await asker.ask(at(server.port, username="alice", password="pw")) == [2]
    assert server.call("SELECT", "1") and "AuthenticationError" in asker.told[0]
    await asker.close()


async def test_a_name_is_resolved(server: RedisServer) -> None:
    asker = Asker(redis=("127.0.0.1",))
    servers = Servers("redis", (("redis", server.port),), **SLOW)
    assert await asker.ask(servers) == [1]
    await asker.close()


async def test_a_server_that_dies_is_left_alone_for_a_while_and_then_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 3600)
    asker = Asker()
    with RedisServer(folder) as server:
        servers = at(server.port)
        assert await asker.ask(servers) == [1]
        server.stop()
        assert await asker.ask(servers) is None
        assert await asker.ask(servers) is None
        assert (asker.counts.failed, asker.counts.refused) == (1, 1)
        assert "ConnectionError" in asker.told[0] and len(asker.told) == 1
        server.start()
        (queue,) = asker.counts._queues.values()
        queue.rests_until = 0
        assert await asker.ask(servers) == [1]
    await asker.close()


async def test_a_connection_that_was_kept_and_is_gone_costs_no_answer(server: RedisServer) -> None:
    asker = Asker()
    assert await asker.ask(at(server.port)) == [1]
    server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await asker.ask(at(server.port)) == [2]
    assert asker.counts.failed == 0
    await asker.close()


async def test_who_asks_a_server_that_hangs_waits_for_the_timeout_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST", 3600)
    silent, asker = Silent(), Asker()
    servers = at(await silent.start(), timeout=0.05, connections=1)
    answers = [asker.put(servers) for _ in range(3)]
    assert await asyncio.gather(*answers) == [None] * 3
    assert silent.heard == 1 and "TimeoutError: no answer in time" in asker.told[0]
    assert await asker.ask(servers) is None and asker.counts.refused == 1
    await asker.close()
    await silent.stop()


async def test_who_waited_as_long_as_an_answer_may_take_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 1)
    silent, asker = Silent(b"*1\r\n:1\r\n"), Asker()
    servers = at(await silent.start(), connections=1)
    first, second = asker.put(servers), asker.put(servers)
    (queue,) = asker.counts._queues.values()
    queue.waiting[1].asked_at -= 100
    assert await asyncio.gather(first, second) == [[1], None]
    assert "TimeoutError: too many were before it" in asker.told[0]
    await asker.close()
    await silent.stop()


async def test_there_is_room_for_so_many_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    silent, asker = Silent(), Asker()
    servers = at(await silent.start(), timeout=0.05, connections=1)
    answers = [asker.put(servers) for _ in range(5)]
    assert asker.counts.waiting == 2 and asker.counts.refused == 3
    assert await asyncio.gather(*answers) == [None] * 5
    await asker.close()
    await silent.stop()


async def test_there_is_room_for_so_many_servers(monkeypatch: pytest.MonkeyPatch, server: RedisServer) -> None:
    monkeypatch.setattr(module, "MAX_SERVERS", 1)
    asker = Asker()
    first, second = asker.put(at(server.port)), asker.put(at(server.port, database=1))
    assert await asyncio.gather(first, second) == [[1], None] and asker.counts.refused == 1
    nodes = Servers(CLUSTER, (("127.0.0.1", unused_port()),))
    await asker.ask(nodes)
    assert await asker.ask(Servers(CLUSTER, (("127.0.0.1", unused_port()),))) is None
    await asker.close()


async def test_a_connection_that_nobody_uses_is_closed(server: RedisServer) -> None:
    asker = Asker()
    await asker.ask(at(server.port, idle=0.01, database=5))
    async with asyncio.timeout(20):
        while "db=5" in server.call("CLIENT", "LIST"):
            await asyncio.sleep(0.01)
    assert await asker.ask(at(server.port, idle=0.01, database=5)) == [2]
    await asker.close()


async def test_at_the_end_what_was_asked_is_still_answered(server: RedisServer) -> None:
    asker = Asker()
    answer = asker.put(at(server.port))
    await asker.close()
    await asyncio.sleep(0)
    assert answer.result() == [1]


async def test_a_question_that_hangs_at_the_end_is_let_go() -> None:
    silent, asker = Silent(), Asker()
    answer = asker.put(at(await silent.start(), timeout=60))
    await asker.counts.close(0.01)
    assert await asyncio.wait_for(answer, 20) is None
    await silent.stop()


async def test_in_a_cluster_a_key_is_followed_and_a_node_that_dies_takes_its_own_keys_alone(folder: Path) -> None:
    asker = Asker()
    with cluster(folder, [unused_port(), unused_port()]) as nodes:
        servers = Servers(CLUSTER, (("127.0.0.1", unused_port()), ("127.0.0.1", nodes[0].port)), **SLOW)
        keys = [f"k{number}" for number in range(16)]
        assert await asyncio.gather(*(asker.ask(servers, key) for key in keys)) == [[1]] * 16
        held = [key for key in keys if nodes[0].call("EXISTS", key) == ":1\r\n"]
        assert 0 < len(held) < 16

        one, two = (node.call("CLUSTER", "MYID").split("\r\n")[1] for node in nodes)
        slot = str(slot_of(b"b"))
        nodes[1].call("CLUSTER", "SETSLOT", slot, "IMPORTING", one)
        nodes[0].call("CLUSTER", "SETSLOT", slot, "MIGRATING", two)
        assert await asker.ask(servers, "b") == [1]  # by ASK: only who says so is let in there
        for node in (nodes[1], nodes[0]):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", two)
        assert await asker.ask(servers, "b") == [2]  # by MOVED
        assert nodes[1].call("GET", "b") == "$1\r\n2\r\n" and asker.counts.failed == 0

        nodes[1].stop()
        for _ in range(2):  # the first finds out, the second need not be asked
            answers = await asyncio.gather(*(asker.ask(servers, key) for key in keys))
            assert [key for key, answer in zip(keys, answers, strict=True) if answer is not None] == held
        assert asker.counts.failed + asker.counts.refused == 2 * (16 - len(held))
    await asker.close()


async def test_who_sentinels_name_is_asked_anew_when_the_one_before_takes_no_writes(
    folder: Path, server: RedisServer
) -> None:
    asker = Asker()
    with RedisServer(folder) as next_one, sentinel(folder, server) as watch:
        servers = Servers(SENTINEL, (("127.0.0.1", watch.port),), master="mymaster", connections=1, **SLOW)
        assert await asker.ask(servers) == [1]
        watch.call("SENTINEL", "REMOVE", "mymaster")
        watch.call("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", str(next_one.port), "1")
        server.call("REPLICAOF", "127.0.0.1", str(unused_port()))  # of nobody: it takes no writes, and loads nothing
        try:
            assert await asker.ask(servers) is None and "ReadOnlyError" in asker.told[0]
            assert await asker.ask(servers) == [1]
            assert next_one.call("GET", "k") == "$1\r\n1\r\n"
        finally:
            server.call("REPLICAOF", "NO", "ONE")
    await asker.close()
