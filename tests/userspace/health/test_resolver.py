"""Names kept current, with a name server that the test plays."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from userspace.config.names import MAX_ADDRESSES
from userspace.health import resolver as module
from userspace.health.resolver import Answer, ResolveError, Resolver


class Server:
    """Answers from `known`; a reason instead of addresses is a failure."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, ...] | str] = {"a.example": ("10.0.0.1",)}
        self.ttl = 0.0
        self.asked: list[str] = []
        self.waiting: asyncio.Event | None = None
        self.at_once = self.most = 0

    async def ask(self, name: str) -> Answer:
        self.asked.append(name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if self.waiting is not None:
            await self.waiting.wait()
        self.at_once -= 1
        answer = self.known.get(name, "Domain name not found")
        if isinstance(answer, str):
            raise ResolveError(answer)
        return Answer(answer, self.ttl)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_TTL", 0.002)
    monkeypatch.setattr(module, "FIRST_RETRY", 0.002)
    monkeypatch.setattr(module, "LAST_RETRY", 0.004)


@pytest.fixture
async def stage() -> Any:
    server, said = Server(), []
    resolver = Resolver(server.ask, lambda *what: said.append(what))
    yield server, said, resolver
    resolver.stop()
    await asyncio.sleep(0)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


async def test_a_name_is_asked_for_again_and_only_changes_are_said(stage: Any) -> None:
    server, said, resolver = stage
    resolver.want({"a.example"})
    await until(lambda: len(server.asked) >= 3)
    assert said == [("a.example", ("10.0.0.1",), "")]
    server.known["a.example"] = ("10.0.0.3", "10.0.0.2", "10.0.0.3")
    await until(lambda: len(said) == 2)
    assert said[1] == ("a.example", ("10.0.0.2", "10.0.0.3"), "")
    assert resolver.addresses("a.example") == ("10.0.0.2", "10.0.0.3") and resolver.counts["changes"] == 1


async def test_the_last_good_answer_stays_while_asking_fails(stage: Any) -> None:
    server, said, resolver = stage
    resolver.want({"a.example"})
    await until(lambda: said)
    server.known["a.example"] = "Timeout"
    await until(lambda: resolver.counts["failures"] >= 3)
    assert resolver.addresses("a.example") == ("10.0.0.1",) and len(said) == 1 and resolver.failing == 1
    server.known["a.example"] = ("10.0.0.2",)
    await until(lambda: len(said) == 2)
    assert resolver.failing == 0


async def test_a_first_answer_in_vain_is_said_once_with_its_reason(stage: Any) -> None:
    server, said, resolver = stage
    resolver.want({"nx.example"})
    assert resolver.addresses("nx.example") is None
    await until(lambda: resolver.counts["failures"] >= 3)
    assert said == [("nx.example", (), "Domain name not found")]
    server.known["nx.example"] = ("10.0.0.5",)
    await until(lambda: len(said) == 2)


async def test_a_ttl_holds_the_next_question_back(stage: Any) -> None:
    server, said, resolver = stage
    server.ttl = 60
    resolver.want({"a.example"})
    await until(lambda: said)
    await asyncio.sleep(0.01)
    assert server.asked == ["a.example"]


async def test_a_configured_ttl_outranks_that_of_the_answer() -> None:
    server = Server()
    server.ttl = 60
    resolver = Resolver(server.ask, lambda *what: None, ttl=0.001)
    resolver.want({"a.example"})
    await until(lambda: len(server.asked) >= 3)
    resolver.stop()


async def test_names_that_nobody_wants_are_forgotten(stage: Any) -> None:
    server, said, resolver = stage
    resolver.want({"a.example", "b.example"})
    await until(lambda: len(said) == 2)
    resolver.want({"b.example"})
    asked = server.asked.count("a.example")
    await asyncio.sleep(0.01)
    assert server.asked.count("a.example") == asked and resolver.addresses("a.example") is None


async def test_questions_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUESTIONS", 3)
    server = Server()
    server.waiting = asyncio.Event()
    resolver = Resolver(server.ask, lambda *what: None)
    resolver.want({f"{n}.example" for n in range(20)})
    await asyncio.sleep(0.005)
    assert server.most == 3
    server.waiting.set()
    await until(lambda: len(set(server.asked)) == 20)
    resolver.stop()


async def test_names_beyond_the_limit_have_no_address_and_are_counted(
    monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 1)
    _, said, resolver = stage
    resolver.want({"a.example", "b.example"})
    assert resolver.counts["overflow"] == 1 and said[0][1:] == ((), "more than 1 names")


async def test_no_more_addresses_are_kept_than_the_limit(stage: Any) -> None:
    server, said, resolver = stage
    server.known["a.example"] = tuple(f"10.0.{n}.1" for n in range(MAX_ADDRESSES + 10))
    resolver.want({"a.example"})
    await until(lambda: said)
    assert len(said[0][1]) == MAX_ADDRESSES


async def test_a_successor_begins_with_the_addresses_of_its_predecessor(stage: Any) -> None:
    server, said, resolver = stage
    server.known["a.example"] = "Timeout"
    resolver.restore({"a.example": ("10.0.0.1",), "old.example": ("10.0.0.2",)})
    resolver.want({"a.example"})
    assert resolver.addresses("a.example") == ("10.0.0.1",) and resolver.unclaimed() == ["old.example"]
    await until(lambda: resolver.counts["failures"] >= 2)
    assert resolver.addresses("a.example") == ("10.0.0.1",) and said == []
