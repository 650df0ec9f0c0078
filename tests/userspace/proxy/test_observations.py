"""What the checker is told, and when."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from control.model.health import TCP_FAILURE, TIMED_OUT
from control.model.upstream import Upstream
from userspace.errors import LbError, Retry, Source
from userspace.proxy import failures, streaks
from userspace.proxy import observations as module
from userspace.proxy.observations import Observations, code_of

UPSTREAM = Upstream.from_json({"nodes": {"10.0.0.1:80": 1}, "checks": {"active": {}, "passive": {}}}, "u")


class Node:
    def __init__(self) -> None:
        self.reads = True
        self.told: list[Any] = []
        self.streaks: list[tuple[str, str]] = []
        self.observations = Observations(
            asyncio.get_running_loop(), self._send, lambda *what: self.streaks.append(what)
        )

    def _send(self, message: Mapping[str, Any]) -> bool:
        if self.reads:
            self.told.append(message["seen"])
        return self.reads


async def test_good_news_waits_for_the_report() -> None:
    node = Node()
    for _ in range(3):
        node.observations.answered(UPSTREAM, "10.0.0.1:80", 200, 5.0)
    assert node.told == []
    node.observations.flush()
    assert node.told == [[["u", "10.0.0.1:80", [[200, 3]], 3, 15.0]]]
    node.observations.flush()
    assert len(node.told) == 1


async def test_bad_news_is_told_at_once_behind_the_good_news_before_it() -> None:
    node = Node()
    node.observations.answered(UPSTREAM, "10.0.0.1:80", 200, 5.0)
    node.observations.failed(UPSTREAM, "10.0.0.1:80", TCP_FAILURE)
    assert node.told == [[["u", "10.0.0.1:80", [[200, 1], [TCP_FAILURE, 1]], 1, 5.0]]]


async def test_much_bad_news_is_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node()
    node.observations.failed(UPSTREAM, "10.0.0.1:80", TCP_FAILURE)
    for _ in range(5):
        node.observations.answered(UPSTREAM, "10.0.0.1:80", 500, 1.0)
        node.observations.failed(UPSTREAM, "10.0.0.2:80", TIMED_OUT)
    assert len(node.told) == 1
    async with asyncio.timeout(5):
        while len(node.told) < 2:
            await asyncio.sleep(0.001)
    assert node.told[1] == [
        ["u", "10.0.0.1:80", [[500, 5]], 5, 5.0],
        ["u", "10.0.0.2:80", [[TIMED_OUT, 5]], 0, 0.0],
    ]


async def test_what_the_node_does_not_read_is_counted() -> None:
    node = Node()
    node.reads = False
    node.observations.answered(UPSTREAM, "10.0.0.1:80", 200, 5.0)
    node.observations.failed(UPSTREAM, "10.0.0.1:80", TCP_FAILURE)
    assert node.observations.dropped == 2


async def test_what_changes_all_the_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNS", 3)
    node = Node()
    for status in (200, 201, 200, 201, 200):
        node.observations.answered(UPSTREAM, "10.0.0.1:80", status, 1.0)
    node.observations.flush()
    assert node.told[0][0][2] == [[200, 1], [201, 1], [200, 1]] and node.observations.dropped == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (failures.CONNECT_TIMEOUT, TIMED_OUT),
        (failures.READ_TIMEOUT, TIMED_OUT),
        (failures.SEND_TIMEOUT, TIMED_OUT),
        (failures.connect_failure(ConnectionRefusedError()), TCP_FAILURE),
        (failures.RESET, TCP_FAILURE),
        (failures.CLOSED, TCP_FAILURE),
        (failures.TRUNCATED, TCP_FAILURE),
        (failures.ENDPOINT_FULL, None),
        (failures.NO_ENDPOINT, None),
        (LbError("resolve_failed", Source.UPSTREAM, Retry.ALWAYS), None),
        (failures.bad_response("x"), 0),
    ],
)
def test_a_failure_says_of_its_endpoint(error: LbError, code: int | None) -> None:
    assert code_of(error) == code


async def test_enough_of_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaks, "GRACE", 0.0)
    node = Node()
    node.observations.failed(UPSTREAM, "10.0.0.1:80", TCP_FAILURE)
    assert node.streaks == []
    node.observations.failed(UPSTREAM, "10.0.0.1:80", TCP_FAILURE)
    assert node.streaks == [("u", "10.0.0.1:80")]
