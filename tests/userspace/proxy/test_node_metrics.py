import asyncio
from collections.abc import Mapping
from typing import Any

from userspace.config.settings import Settings
from userspace.obs.http_series import Expiry, HttpSeries
from userspace.plugins.env import Env
from userspace.proxy import node_metrics
from userspace.proxy.node_metrics import NodeMetrics, measure


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


def test_plugins_count_by_what_the_settings_say() -> None:
    env, meter = Env(), HttpSeries(lambda: None)
    labels = ["http_status.addr=$upstream_addr", "http_latency.m=$request_method"]
    settings = Settings.from_json({"extra_labels": labels, "expire_bandwidth": 5, "expire_http_latency": 6})
    assert measure(env, meter, settings) == Expiry(status=0, bandwidth=5, latency=6)
    assert env.meter is meter
    assert env.extra_labels == (("upstream_addr",), (), ("request_method",))
