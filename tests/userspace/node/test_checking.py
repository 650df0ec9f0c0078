"""The node's checker, as a process."""

import asyncio
import json
import logging
import os
import signal
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from control.model.ssl import Ssl
from tests.userspace.health.endpoints import answering, closed_port, listening
from tests.userspace.health.name_server import name_server
from tests.userspace.health.responder import answer, document
from tests.userspace.health.test_stapling import responder
from userspace.config.settings import Settings
from userspace.node import checking as module
from userspace.node.checking import Checking
from userspace.wire import Message

OK = answering(b"HTTP/1.1 200 OK\r\n\r\n")


class Stage:
    """A Checking, and what it told workers."""

    def __init__(self, **settings: Any) -> None:
        self.told: list[Message] = []
        self.objects: dict[str, bytes] = {}
        self.checking = Checking(Settings(**settings), None, self.told.append, lambda: (1, self.objects))

    def put(self, key: str, doc: Any) -> None:
        value = json.dumps(doc).encode()
        self.objects[key] = value
        self.checking.changes(2, [(key, value)])

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(15):
            while not holds():
                await asyncio.sleep(0.005)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await stage.checking.stop()


def checked(*ports: int) -> dict[str, Any]:
    active = {"healthy": {"successes": 1}, "unhealthy": {"tcp_failures": 1}}
    return {"nodes": {f"127.0.0.1:{port}": 1 for port in ports}, "checks": {"active": active}}


async def test_workers_are_told_of_what_is_down(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    dead = closed_port()
    async with listening(OK) as port:
        stage.put("/apisix/upstreams/u", checked(port, dead))
        stage.checking.start()
        await stage.until(lambda: stage.told)
    assert stage.told == [{"type": "down", "upstreams": {"u": [f"127.0.0.1:{dead}"]}}]
    assert caplog.messages == [
        f"endpoint 127.0.0.1:{dead} of upstream u is down: connect: Connection refused (tcp_failure 1 of 1)"
    ]
    assert stage.checking.greeting() == [{"type": "names", "names": {}}, *stage.told]


async def test_a_checker_that_dies_takes_no_verdict_with_it(stage: Stage) -> None:
    dead = closed_port()
    async with listening(OK) as port:
        stage.put("/apisix/upstreams/u", checked(port, dead))
        stage.checking.start()
        await stage.until(lambda: len(list(stage.checking.verdicts)) == 2 and stage.told)
        stage.checking.ask_counters()
        await stage.until(lambda: stage.checking.counts("checks").get("tcp_failure"))
        counted = stage.checking.counts("checks")
        pid = stage.checking.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await stage.until(lambda: stage.checking.restarts == 1 and stage.checking.pid != pid)
        stage.put("/apisix/upstreams/v", checked(port))
        await stage.until(lambda: len(list(stage.checking.verdicts)) == 3)
        stage.checking.ask_counters()
    assert len(stage.told) == 1 and stage.checking.verdicts.down("u") == {f"127.0.0.1:{dead}"}
    assert stage.checking.counts("checks")["tcp_failure"] >= counted["tcp_failure"]


async def test_names_are_told_as_they_are_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with name_server(web=("10.0.0.1",)) as server:
        stage = Stage(resolvers=(server.address,))
        stage.put("/apisix/upstreams/u", {"nodes": {"web.example:80": 1}})
        stage.checking.start()
        await stage.until(lambda: stage.told)
        await stage.checking.stop()
    assert stage.told == [{"type": "names", "names": {"web.example": [["10.0.0.1"], ""]}}]
    assert caplog.messages == ["name web.example: 10.0.0.1"]


async def test_what_is_no_upstream_stays_with_the_node(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Message] = []
    monkeypatch.setattr(stage.checking._child, "send", sent.append)
    stage.checking.changes(3, [("/unilb/vpcs/blue", b"{}"), ("/apisix/consumers/a", b"{}")])
    assert sent == []
    stage.checking.changes(4, [("/unilb/vpcs/blue", b"{}"), ("/apisix/routes/1", None)])
    assert sent == [{"type": "changes", "revision": 4, "changes": [["/apisix/routes/1", None]]}]


def test_a_flood_of_events_is_cut(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 2)
    checking = Checking(Settings(), None, lambda message: None, lambda: (0, {}))
    checking._log(["a", "b", "c", "d"])
    assert caplog.messages == ["a", "b", "and 2 more"]


async def test_workers_are_given_what_to_staple_and_new_ones_get_it_first(stage: Stage) -> None:
    answers: list[bytes] = []
    with responder(200, answers) as url:
        about = document(url)
        answers.append(answer(Ssl.from_json({"id": "s1", **about})))
        stage.put("/apisix/ssls/s1", {"id": "s1", **about})
        stage.checking.start()
        await stage.until(lambda: any(message["type"] == "staples" for message in stage.told))
    staples = {"type": "staples", "staples": {"s1": b64encode(answers[0]).decode()}}
    assert staples in stage.told and staples in stage.checking.greeting()
