"""Lines to real servers, and to ones that send questions away."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, NoScriptError, ReadOnlyError, RedisError

from tests.control.certificates import authority
from tests.ports import unused_port
from tests.redis_server import RedisServer, cluster, sentinel, tls_options
from tests.userspace.proxy.redis_stage import ADD, SLOW, Silent, at
from userspace.plugins.counting import SENTINEL, Servers
from userspace.proxy.naming import Naming
from userspace.proxy.redis_lines import Line, opened
from userspace.proxy.redis_question import Lost, Question, Sent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RedisServer]:
    with RedisServer(folder) as server:
        yield server


async def line_to(servers: Servers, authorities: str = "", **names: tuple[str, ...]) -> Line:
    return await opened(servers, Naming(asyncio.get_running_loop(), names), authorities)


def question(key: str = "k", is_let_in: bool = False) -> Question:
    made = Question(ADD, key, ("1",), lambda answer: None)
    made.is_let_in = is_let_in
    return made


async def answers_of(*sayings: bytes, questions: int = 1, is_let_in: bool = False) -> tuple[list[Any], Line]:
    """What a line makes of what a server says."""
    silent = Silent(*sayings)
    line = await line_to(at(await silent.start()))
    answers = await line.ask([question(is_let_in=is_let_in) for _ in range(questions)])
    await line.close()
    await silent.stop()
    return answers, line


async def test_a_batch_is_answered_in_its_order(server: RedisServer) -> None:
    line = await line_to(at(server.port))
    assert await line.ask([question("a"), question("b"), question("a")]) == [[1], [1], [2]]
    assert not line.is_stale
    await line.close()


async def test_who_does_not_know_the_password_gets_no_line(server: RedisServer) -> None:
    with pytest.raises(AuthenticationError):
        await line_to(at(server.port, username="nobody", password="x"))


async def test_a_database_that_there_is_not_gives_no_line(server: RedisServer) -> None:
    with pytest.raises(RedisError, match="DB index is out of range"):
        await line_to(at(server.port, database=99))


async def test_a_line_that_is_gone_is_lost_for_all_its_questions(server: RedisServer) -> None:
    line = await line_to(at(server.port))
    server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    answers = await line.ask([question(), question()])
    assert [type(answer) for answer in answers] == [Lost, Lost] and line.is_stale
    await line.close()


async def test_a_cluster_that_is_down_and_a_server_that_loads_may_answer_later() -> None:
    for said in (b"-CLUSTERDOWN The cluster is down\r\n", b"-LOADING Redis is loading\r\n"):
        (answer,), line = await answers_of(said)
        assert isinstance(answer, Lost) and line.is_stale


async def test_one_that_has_become_a_replica_is_not_asked_again() -> None:
    (answer,), line = await answers_of(b"-READONLY You can't write against a read only replica.\r\n")
    assert isinstance(answer, ReadOnlyError) and line.is_stale


async def test_a_key_that_has_moved_names_where_it_is() -> None:
    (moved, asked), line = await answers_of(b"-MOVED 7 10.0.0.1:7000\r\n-ASK 7 10.0.0.2:7001\r\n", questions=2)
    assert isinstance(moved, Sent) and (moved.address, moved.is_once) == (("10.0.0.1", 7000), False)
    assert isinstance(asked, Sent) and (asked.address, asked.is_once) == (("10.0.0.2", 7001), True)
    assert not line.is_stale


async def test_who_is_let_in_says_so_before_each_command() -> None:
    answers, _ = await answers_of(b"+OK\r\n*1\r\n:1\r\n+OK\r\n*1\r\n:2\r\n", questions=2, is_let_in=True)
    assert answers == [[1], [2]]
    answers, _ = await answers_of(b"+OK\r\n-NOSCRIPT No\r\n", b"+OK\r\n*1\r\n:3\r\n", is_let_in=True)
    assert answers == [[3]]


async def test_a_script_that_stays_unknown_is_an_error() -> None:
    (answer,), _ = await answers_of(b"-NOSCRIPT No\r\n", b"-NOSCRIPT No\r\n")
    assert isinstance(answer, NoScriptError)


async def test_the_nodes_of_a_cluster_say_who_has_which_slots(folder: Path, server: RedisServer) -> None:
    ports = [unused_port(), unused_port()]
    with cluster(folder, ports):
        line = await line_to(at(ports[0]))
        assert sorted(await line.slots()) == [
            (0, 8192, ("127.0.0.1", ports[0])),
            (8193, 16383, ("127.0.0.1", ports[1])),
        ]
        await line.close()
    line = await line_to(at(server.port))
    with pytest.raises(RedisError, match="cluster support disabled"):
        await line.slots()
    await line.close()


async def test_a_node_that_does_not_know_its_own_name_is_the_one_that_was_asked() -> None:
    silent = Silent(b"*1\r\n*3\r\n:0\r\n:9\r\n*2\r\n$-1\r\n:7000\r\n")
    line = await line_to(at(await silent.start()))
    assert await line.slots() == [(0, 9, ("", 7000))]
    await line.close()
    await silent.stop()


async def test_tls_asks_for_the_name_and_verifies_it_where_it_is_told_to(folder: Path) -> None:
    root = authority("root.example")
    certificate, key = root.sign("redis.example")
    files = {"ca.pem": root.certificate, "cert.pem": certificate, "key.pem": key}
    for name, text in files.items():
        (folder / name).write_text(text)
    port = unused_port()
    names = {"redis.example": ("127.0.0.1",), "other.example": ("127.0.0.1",)}
    servers = Servers("redis", (("redis.example", port),), tls=True, verify=True, **SLOW)
    with RedisServer(folder, *tls_options(port, folder / "cert.pem", folder / "key.pem")):
        line = await line_to(servers, str(folder / "ca.pem"), **names)
        assert await line.ask([question()]) == [[1]]
        await line.close()
        with pytest.raises(RedisError, match="certificate verify failed"):
            await line_to(servers, **names)
        other = replace(servers, addresses=(("other.example", port),))
        with pytest.raises(RedisError, match="Hostname mismatch"):
            await line_to(other, str(folder / "ca.pem"), **names)
        line = await line_to(replace(other, verify=False), **names)
        assert await line.ask([question()]) == [[2]]
        await line.close()


async def test_sentinels_name_the_master_and_one_that_is_gone_is_passed_over(folder: Path, server: RedisServer) -> None:
    server.call("SET", "k", "41")
    with sentinel(folder, server) as watch:
        gone = ("127.0.0.1", unused_port())
        servers = Servers(SENTINEL, (gone, ("127.0.0.1", watch.port)), master="mymaster", **SLOW)
        line = await line_to(servers)
        assert await line.ask([question()]) == [[42]]
        await line.close()
        with pytest.raises(RedisError, match="No master found for 'other'"):
            await line_to(replace(servers, master="other"))
        with pytest.raises(RedisError, match="no replica of mymaster"):
            await line_to(replace(servers, is_replica=True))
