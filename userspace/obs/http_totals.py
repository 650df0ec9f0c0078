"""HttpTotals: the series of the `prometheus` plugin, of one worker or of several, and how they are shown.

The values of labels stand in APISIX's order; a label that metadata `disabled_labels` names is there and empty.
"""

from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Any, Final, Generic, TypeVar

from prometheus_client.core import Metric

from userspace.obs.histogram import Histogram, add_samples, sums
from userspace.obs.http_series import OTHER, Expiry, Labels

_WHO: Final = ("service", "consumer", "node")
_MODEL: Final = ("request_type", "request_llm_model", "llm_model")
STATUS_LABELS: Final = ("code", "route", "matched_uri", "matched_host", *_WHO, *_MODEL, "response_source")
TRAFFIC_LABELS: Final = ("route", *_WHO, *_MODEL)
WAITING_LABELS: Final = ("name", "route_id", "server_addr")
MAX_SERIES: Final = 20_000  # of each metric
_LATENCIES: Final = ("request", "upstream", "apisix")  # `apisix` is APISIX's word for the gateway's own time

V = TypeVar("V")
Extra = tuple[tuple[str, ...], ...]  # of status, bandwidth and latency


class Table(Generic[V]):
    """One metric's values by labels, and when each last changed. `plus`: the sum of two, which it leaves alone."""

    __slots__ = ("_plus", "seen", "values")

    def __init__(self, plus: Callable[[V, V], V]) -> None:
        self.values: dict[Labels, V] = {}
        self.seen: dict[Labels, float] = {}
        self._plus = plus

    def take(self, labels: Labels, value: V, now: float) -> None:
        self.values[labels] = value
        self.seen[labels] = now

    def add(self, other: "Table[V]") -> None:
        """Past MAX_SERIES new ones count as OTHER."""
        values = self.values
        for labels, value in other.values.items():
            seen = other.seen[labels]
            if labels not in values and len(values) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            values[labels] = self._plus(values[labels], value) if labels in values else value
            self.seen[labels] = max(seen, self.seen.get(labels, seen))

    def forget(self, before: float) -> None:
        """Drop what has not changed since `before`."""
        for labels in [labels for labels, seen in self.seen.items() if seen < before]:
            del self.values[labels], self.seen[labels]


class HttpTotals:
    """Absolute values of one worker (`take`), or sums of several (`add`)."""

    __slots__ = ("bandwidth", "latency", "status", "waiting")

    def __init__(self) -> None:
        self.status: Table[int] = Table(int.__add__)
        self.bandwidth: Table[tuple[int, int]] = Table(lambda one, two: (one[0] + two[0], one[1] + two[1]))
        self.waiting: Table[int] = Table(int.__add__)
        self.latency: Table[list[Histogram]] = Table(lambda one, two: list(map(sums, one, two)))

    def take(self, report: Mapping[str, Any], now: float) -> None:
        """Take what a worker reports of the series that it touched."""
        for labels, count in report["status"]:
            self.status.take(tuple(labels), count, now)
        for labels, bytes_in, bytes_out in report["bandwidth"]:
            self.bandwidth.take(tuple(labels), (bytes_in, bytes_out), now)
        for labels, entries in report["waiting"]:
            self.waiting.take(tuple(labels), entries, now)
        for labels, *histograms in report["latency"]:
            self.latency.take(tuple(labels), histograms, now)

    def add(self, other: "HttpTotals") -> None:
        """Add another's values to mine; never changes the other's."""
        self.status.add(other.status)
        self.bandwidth.add(other.bandwidth)
        self.latency.add(other.latency)
        self.waiting.add(other.waiting)

    def end(self) -> None:
        """The worker has ended: nothing waits in it."""
        self.waiting.forget(inf)

    def expire(self, after: Expiry, now: float) -> None:
        """Drop what has not changed for so many seconds."""
        tables: tuple[Table[Any], ...] = (self.status, self.bandwidth, self.latency)
        for table, seconds in zip(tables, after, strict=True):
            if seconds:
                table.forget(now - seconds)

    def collect(self, extra: Extra = ((), (), ())) -> Iterator[Metric]:
        """Yield APISIX's metrics of requests: those that have any. `extra`: names of labels of the operator's own."""
        status_labels, bandwidth_labels, latency_labels = (
            (*own, *more) for own, more in zip((STATUS_LABELS, TRAFFIC_LABELS, TRAFFIC_LABELS), extra, strict=True)
        )
        status = Metric("apisix_http_status", "HTTP status codes, of routes with plugin prometheus.", "counter")
        for labels, count in self.status.values.items():
            status.add_sample(status.name, dict(zip(status_labels, labels, strict=True)), count)
        bandwidth = Metric("apisix_bandwidth", "Bytes from (ingress) and to (egress) clients.", "counter")
        for labels, both in self.bandwidth.values.items():
            named = dict(zip(bandwidth_labels, labels, strict=True))
            for direction, size in zip(("ingress", "egress"), both, strict=True):
                bandwidth.add_sample(bandwidth.name, {"type": direction} | named, size)
        latency = Metric("apisix_http_latency", "ms: request, upstream's share, gateway's own.", "histogram")
        for labels, histograms in self.latency.values.items():
            named = dict(zip(latency_labels, labels, strict=True))
            for kind, histogram in zip(_LATENCIES, histograms, strict=True):
                if any(histogram):
                    add_samples(latency, {"type": kind} | named, histogram)
        waiting = Metric("apisix_batch_process_entries", "Entries of loggers that wait.", "gauge")
        for labels, entries in self.waiting.values.items():
            waiting.add_sample(waiting.name, dict(zip(WAITING_LABELS, labels, strict=True)), entries)
        yield from (metric for metric in (status, bandwidth, latency, waiting) if metric.samples)
