import asyncio
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from userspace.http.footprint import PATH, Guard
from userspace.obs.counters import Counters
from userspace.proxy import splicing
from userspace.proxy.splicing import MAX_OPEN, Answer, Splicing

NUMBER = PATH.bit_length() - 1


class Bench:
    def __init__(self) -> None:
        self.counters = Counters()
        self.troubles: list[str] = []
        self.back: list[tuple[socket.socket, Mapping[str, Any]]] = []
        self.told: list[tuple[Answer, str]] = []
        self.far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.far.setblocking(False)
        loop = asyncio.get_running_loop()
        self.splicing = Splicing(loop, near, self.counters, self._adopt, self.troubles.append)

    def _adopt(self, sock: socket.socket, message: Mapping[str, Any]) -> None:
        self.back.append((sock, message))

    def key(self, epoch: int = 1) -> None:
        self.splicing.take_key({"seed": str(2**64 - 1), "factor": "3", "epoch": epoch, "edition": epoch})

    def ask(self, guard: Guard | None = None) -> bool:
        question = {"tail": 5, "route": "r1"}
        return self.splicing.ask(question, guard, [self.far.fileno()], lambda *answer: self.told.append(answer))

    def heard(self) -> list[Any]:
        messages = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.far, 65536, 4)
            except BlockingIOError:
                return messages
            for fd in fds:
                socket.socket(fileno=fd).close()
            messages.append(orjson.loads(data))

    def say(self, **message: Any) -> None:
        self.far.send(orjson.dumps(message))

    async def until_told(self, count: int = 1) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                await asyncio.sleep(0)


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    yield made
    made.splicing.close()
    made.far.close()


def guard(decision: int = 7, path: int = 1) -> Guard:
    return Guard(PATH, tuple(path if number == NUMBER else 0 for number in range(8)), 9, decision)


async def test_a_question_says_what_the_contract_asks_for(bench: Bench) -> None:
    assert bench.splicing.key is None and not bench.ask()
    bench.key(epoch=3)
    assert bench.ask(guard(decision=2**64 - 1)) and bench.ask()
    guarded, opaque = bench.heard()
    assert guarded == {
        **{"type": "splice", "tag": 1, "kind": "guarded", "tail": 5, "edition": 3, "route": "r1"},
        "guard": {
            **{"mask": PATH, "hashes": ["0", "0", "1", "0", "0", "0", "0", "0"], "extra_name": "9"},
            "decision": str(2**64 - 1),
        },
    }
    assert opaque == {"type": "splice", "tag": 2, "kind": "opaque", "tail": 5, "edition": 3, "route": "r1"}


async def test_each_question_is_answered_once_and_counted(bench: Bench) -> None:
    bench.key()
    for given in (guard(), None, None):
        assert bench.ask(given)
    for message in ({"type": "spliced", "tag": 1, "id": 5}, {"type": "spliced", "tag": 2, "id": 6}) * 2:
        bench.say(**message)
    bench.say(type="refused", tag=3, reason="busy")
    await bench.until_told(3)
    assert bench.told == [(Answer.SPLICED, ""), (Answer.SPLICED, ""), (Answer.REFUSED, "busy")]
    totals = bench.counters.totals
    counted = [totals[f"splices_{name}"] for name in ("asked", "guarded", "opaque", "refused", "unanswered")]
    assert counted == [3, 1, 1, 1, 0]


async def test_when_the_node_goes_all_open_questions_hear_of_it_and_none_is_asked_again(bench: Bench) -> None:
    bench.key()
    assert bench.ask() and bench.ask()
    bench.far.close()
    await bench.until_told(2)
    assert bench.told == [(Answer.GONE, "")] * 2 and bench.splicing.key is None
    assert bench.counters.totals["splices_unanswered"] == 2


async def test_an_answer_that_does_not_come_is_late(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicing, "ANSWER_SECONDS", 0.001)
    bench.key()
    assert bench.ask()
    await bench.until_told()
    assert bench.told == [(Answer.LATE, "")]
    bench.say(type="spliced", tag=1, id=1)
    bench.say(type="nonsense")
    async with asyncio.timeout(5):
        while not bench.troubles:
            await asyncio.sleep(0)
    assert len(bench.told) == 1 and "unknown message nonsense" in bench.troubles[0]


async def test_a_node_that_was_late_is_left_alone_for_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicing, "ANSWER_SECONDS", 0.001)
    monkeypatch.setattr(splicing, "QUIET_SECONDS", 0.02)
    bench.key()
    assert bench.ask()
    await bench.until_told()
    assert bench.splicing.key is None and not bench.ask()
    async with asyncio.timeout(5):
        while bench.splicing.key is None:
            await asyncio.sleep(0.005)
    assert bench.ask()


async def test_so_many_questions_are_open_at_most(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.key()
    asked = 0
    while asked < MAX_OPEN:
        assert bench.ask()
        asked += 1
        bench.heard()
    assert bench.splicing.key is None and not bench.ask()
    bench.say(type="refused", tag=1, reason="busy")
    await bench.until_told()
    assert bench.ask()


async def test_other_paths_of_a_decision_are_told_and_a_single_one_is_not(bench: Bench) -> None:
    bench.key()
    bench.splicing.cover(guard(path=1))
    bench.splicing.cover(guard(path=1))
    assert bench.heard() == []
    bench.splicing.cover(guard(path=2))
    covered = {"type": "covered", "decision": "7"}
    assert bench.heard() == [{**covered, "path": "2"}, {**covered, "path": "1"}]
    bench.splicing.cover(guard(path=2))
    bench.splicing.cover(guard(path=3))
    assert bench.heard() == [{**covered, "path": "3"}]
    # What one configuration covered says nothing about the next.
    bench.key(epoch=2)
    bench.splicing.cover(guard(path=4))
    assert bench.heard() == []


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(splicing, "MAX_DECISIONS", 2)
    monkeypatch.setattr(splicing, "MAX_PATHS", 3)
    yield


@pytest.mark.usefixtures("few")
async def test_of_decisions_and_paths_only_so_many_are_kept(bench: Bench) -> None:
    bench.key()
    for path in range(1, 6):
        bench.splicing.cover(guard(path=path))
    assert [message["path"] for message in bench.heard()] == ["2", "1", "3"]
    bench.splicing.cover(guard(decision=8))
    bench.splicing.cover(guard(decision=7))  # met again: 8 is the one to go
    bench.splicing.cover(guard(decision=9))
    bench.splicing.cover(guard(decision=8, path=2))
    assert bench.heard() == []


async def test_what_comes_back_is_passed_on_with_its_socket(bench: Bench) -> None:
    one, other = socket.socketpair()
    socket.send_fds(bench.far, [orjson.dumps({"type": "back", "id": 3, "address": ["192.0.2.1", 5]})], [one.fileno()])
    one.close()
    async with asyncio.timeout(5):
        while not bench.back:
            await asyncio.sleep(0)
    [(sock, message)] = bench.back
    sock.send(b"x")
    assert other.recv(1) == b"x" and message["address"] == ["192.0.2.1", 5]
    assert bench.counters.totals["splices_back"] == 1
    sock.close()
    other.close()
