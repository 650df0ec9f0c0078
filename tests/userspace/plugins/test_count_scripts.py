"""What the scripts do, in a real Redis."""

import re
from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer
from userspace.plugins.count_scripts import BUCKET, ENTER, FIXED, LEAVE, SLIDING
from userspace.plugins.counting import Script

WINDOW = 1_000_000_000  # seconds: no test takes a share of it that shows


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(server: RedisServer) -> None:
    server.call("FLUSHALL")


def run(server: RedisServer, script: Script, *arguments: str) -> list[float]:
    said = server.call("EVAL", script.text, "1", "k", *arguments)
    assert said.startswith("*"), said
    return [float(number) for number in re.findall(r"^:?(-?\d[\d.e+-]*)\r$", said, re.M)]


def since(server: RedisServer) -> float:
    """The share of the present window that is over."""
    seconds = int(server.call("TIME").split("\r\n")[2])
    return seconds % WINDOW / WINDOW


def test_a_fixed_window_begins_with_its_first_request(server: RedisServer) -> None:
    assert run(server, FIXED, "1", "60000") == [1, 60000]
    used, left = run(server, FIXED, "3", "60000")
    assert used == 4 and 0 < left <= 60000
    server.call("PERSIST", "k")  # whatever took its end away: it begins anew, rather than never to end
    assert run(server, FIXED, "1", "60000") == [1, 60000]


def test_a_sliding_window_counts_a_share_of_the_one_before(server: RedisServer) -> None:
    number = int(server.call("TIME").split("\r\n")[2]) // WINDOW
    server.call("HSET", "k", "before", "0", "used", "8", "number", str(number - 1))
    share = 8 * (1 - since(server))
    taken, left, _ = run(server, SLIDING, "1", "10", str(WINDOW), "if")
    assert taken == 1 and left == pytest.approx(10 - share - 1, abs=1e-3)
    assert "before\r\n$1\r\n8\r\n" in server.call("HGETALL", "k")


def test_a_sliding_window_says_when_there_is_more_and_counts_nothing_then(server: RedisServer) -> None:
    assert run(server, SLIDING, "2", "2", str(WINDOW), "if")[:2] == [1, 0]
    taken, _, wait = run(server, SLIDING, "1", "2", str(WINDOW), "if")
    assert taken == 0 and wait == pytest.approx(WINDOW * (1 - since(server)), rel=1e-3)
    assert "$4\r\nused\r\n$1\r\n2\r\n" in server.call("HGETALL", "k")
    assert run(server, SLIDING, "1", "2", str(WINDOW), "anyway")[:2] == [1, -1]


def test_a_window_that_nobody_asks_for_any_more_is_forgotten(server: RedisServer) -> None:
    run(server, SLIDING, "1", "2", "60", "if")
    assert 0 < int(server.call("PTTL", "k")[1:]) <= 120_000


def test_a_bucket_leaks_at_its_rate(server: RedisServer) -> None:
    assert run(server, BUCKET, "0.001", "1") == [1, 0]
    taken, excess = run(server, BUCKET, "0.001", "1")
    assert taken == 1 and excess == pytest.approx(1, abs=0.1)
    taken, excess = run(server, BUCKET, "0.001", "1")
    assert taken == 0 and excess == pytest.approx(2, abs=0.1)


def test_those_who_are_here_are_counted_by_name_and_forgotten_in_the_end(server: RedisServer) -> None:
    assert run(server, ENTER, "2", "60", "a") == [1, 1]
    assert run(server, ENTER, "2", "60", "b") == [1, 2]
    assert run(server, ENTER, "2", "60", "c") == [0, 3]
    assert run(server, LEAVE, "a") == [1] and run(server, LEAVE, "a") == [0]
    assert run(server, ENTER, "2", "60", "c") == [1, 2]
    server.call("ZADD", "k", "1", "b")  # its time is up: nobody said that it left
    assert run(server, ENTER, "2", "60", "d") == [1, 2]
