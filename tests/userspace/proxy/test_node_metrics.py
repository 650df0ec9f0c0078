import asyncio
from collections.abc import Mapping
from typing import Any

from userspace.proxy import node_metrics
from userspace.proxy.node_metrics import NodeMetrics


class Wire:
    def __init__(self, is_open: bool = True) -> None:
        self.is_open = is_open
        self.sent: list[Mapping[str, object]] = []

    def send(self, message: Mapping[str, object]) -> None:
        self.sent.append(message)


def asking(wire: Any) -> tuple[NodeMetrics, list[bytes | None]]:
    return NodeMetrics(asyncio.get_running_loop(), lambda: wire), []


async def test_all_who_ask_meanwhile_get_one_answer() -> None:
    wire = Wire()
    metrics, told = asking(wire)
    metrics.ask(told.append)
    metrics.ask(told.append)
    assert wire.sent == [{"type": "metrics?"}] and told == []
    metrics.answered("a 1\n")
    assert told == [b"a 1\n"] * 2
    metrics.ask(told.append)
    assert len(wire.sent) == 2


async def test_a_node_that_is_silent_or_gone_is_no_wait_for_ever(monkeypatch: Any) -> None:
    monkeypatch.setattr(node_metrics, "WITHIN", 0.01)
    for wire in (Wire(), Wire(is_open=False)):
        metrics, told = asking(wire)
        metrics.ask(told.append)
        assert told == [], "never at once"
        await asyncio.sleep(0.03)
        assert told == [None]
