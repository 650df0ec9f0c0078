"""What plugins count requests by; and NodeMetrics: what the node counts, as text, asked of it over the wire."""

import asyncio
from collections.abc import Callable
from typing import Final

from userspace.config.extra_labels import by_metric
from userspace.config.settings import Settings
from userspace.obs.http_series import Expiry, HttpSeries
from userspace.plugins.env import Env
from userspace.proxy.wire_intake import WireIntake

WITHIN: Final = 2.0
"""Seconds in which the node answers; then there is no answer."""

Told = Callable[[bytes | None], None]


def measure(env: Env, meter: HttpSeries, settings: Settings) -> Expiry:
    """Have filters count by `meter`; return when what they count is forgotten."""
    env.meter = meter
    env.extra_labels = tuple(tuple(one.variable for one in some) for some in by_metric(settings.extra_labels))
    return Expiry(settings.expire_http_status, settings.expire_bandwidth, settings.expire_http_latency)


class NodeMetrics:
    """All who ask while a question is out get its answer. `wire`: to the node, once there is one."""

    __slots__ = ("_asking", "_loop", "_wire", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Callable[[], WireIntake]) -> None:
        self._loop = loop
        self._wire = wire
        self._asking: list[Told] = []
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, told: Told) -> None:
        """Call `told` once, later, with the text; None: the node did not give it in time."""
        self._asking.append(told)
        if self._timer is None:
            wire = self._wire()
            wire.send({"type": "metrics?"})
            self._timer = self._loop.call_later(WITHIN if wire.is_open else 0, self.answered, None)

    def answered(self, text: str | None) -> None:
        """Pass on what the node says."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        asking, self._asking = self._asking, []
        body = text.encode() if text is not None else None
        for told in asking:
            told(body)
