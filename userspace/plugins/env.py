"""Env: what a filter may use besides its configuration and the request. One per worker."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from userspace.plugins.compression import Coders
from userspace.plugins.consumers import Consumers
from userspace.plugins.counting import Counts
from userspace.plugins.jobs import Job
from userspace.tally import Tally


class Slots(Protocol):
    """The upstreams of the routing table."""

    def lease(self, id: str, upstream: Any = None) -> Any:
        """The UpstreamSlot of an upstream: the stored one called `id`, or `upstream`, an object of the filter's own
        under an id of its own. To be given back."""
        ...

    def release(self, id: str) -> None:
        """Give it back."""
        ...


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


class Outbox(Protocol):
    """Takes what need not be waited for: log entries, mirrored requests. Bounded; what is too much is counted."""

    dropped: int
    is_closing: bool  # what waits for more is to be posted now

    def post(self, job: Job, entries: int) -> bool:
        """Have `job`, which holds so many entries, delivered. False when it was dropped."""
        ...

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back after so many seconds."""
        ...


class Meter(Protocol):
    """Counts requests by the values of APISIX's labels (`userspace/obs/http_series.py`). Bounded."""

    def count(
        self,
        status: tuple[str, ...],
        bandwidth: tuple[str, ...],
        latency: tuple[str, ...],
        size: tuple[int, int],
        request_ms: float,
        upstream_ms: float | None,
    ) -> None: ...

    def waiting(self, labels: tuple[str, ...], entries: int) -> None:
        """So many entries of a logger wait now; `labels`: APISIX's name of it, the route, our address."""
        ...


Told = Callable[[bytes | None], None]
"""Takes the metrics of the node as text; None: nobody gave them."""


@dataclass(slots=True)
class Env:
    """`consumers` and `metadata(plugin)` are those of the present configuration: ask each time. `clock` is monotonic,
    `now` the time of day, both in seconds. `draw` is a random number in [0, 1). `https_port` is where
    clients find us over TLS; None: 443, or nowhere. `tally` holds what all workers count together, `counts`
    asks the servers that all gateways count in, `coders` is what compresses answers. `service_name(id)`:
    "" for a service without one. `extra_labels`: the variables behind what the operator adds to the labels of the
    meter's three metrics, in their order. `metrics` has somebody told what the node counts, within a second or so."""

    consumers: Consumers = field(default_factory=Consumers)
    metadata: Callable[[str], Mapping[str, Any]] = lambda plugin: {}
    service_name: Callable[[str], str] = lambda id: ""
    slots: Slots | None = None
    meter: Meter | None = None
    extra_labels: tuple[tuple[str, ...], ...] = ((), (), ())
    metrics: Callable[[Told], None] | None = None
    outbox: Outbox | None = None
    counts: Counts | None = None
    tally: Tally = field(default_factory=Tally)
    coders: Coders = field(default_factory=Coders)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random
    https_port: int | None = None
