"""HttpSeries: what the `prometheus` plugin counts in one worker: APISIX's series, by the values of their labels.

Shape of a report, absolute values of the series touched since the last one (`labels`: values, in the order of
`http_totals.py`; histograms as in `histogram.py`, of the request, the upstream's share and the gateway's own):
    {"status": [[labels, n], ...], "bandwidth": [[labels, bytes_in, bytes_out], ...],
     "latency": [[labels, request, upstream, own], ...], "waiting": [[labels, entries], ...]}
`waiting` is a gauge and comes whole: entries that loggers have gathered.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from userspace.obs.histogram import Histogram, new, observe

OTHER: Final = "other"

Labels = tuple[str, ...]


class Expiry(NamedTuple):
    """Seconds after which a series that does not change is forgotten; 0: never."""

    status: float = 0
    bandwidth: float = 0
    latency: float = 0


NEVER: Final = Expiry()


class HttpSeries:
    """Past `max_series`, of all kinds together, new ones count as the one of their kind whose labels are all OTHER;
    `on_overflow` is told of each such request."""

    __slots__ = ("_bandwidth", "_latency", "_on_overflow", "_seen", "_status", "_touched", "_waiting", "max_series")

    def __init__(self, on_overflow: Callable[[], None], max_series: int = 10_000) -> None:
        self.max_series = max_series
        self._on_overflow = on_overflow
        self._status: dict[Labels, int] = {}
        self._bandwidth: dict[Labels, list[int]] = {}
        self._latency: dict[Labels, list[Histogram]] = {}
        self._touched: tuple[set[Labels], set[Labels], set[Labels]] = (set(), set(), set())
        self._waiting: dict[Labels, int] = {}
        self._seen: tuple[dict[Labels, float], ...] = ({}, {}, {})

    def count(
        self,
        status: Labels,
        bandwidth: Labels,
        latency: Labels,
        size: tuple[int, int],
        request_ms: float,
        upstream_ms: float | None,
    ) -> None:
        """Count one exchange under the labels of each metric. `size`: bytes from and to the client; `upstream_ms`: None
        when no endpoint was asked."""
        counts = self._status
        if status not in counts:
            status = self._placed(status, counts)
            counts.setdefault(status, 0)
        counts[status] += 1
        bytes_of = self._bandwidth.get(bandwidth)
        if bytes_of is None:
            bandwidth = self._placed(bandwidth, self._bandwidth)
            bytes_of = self._bandwidth.setdefault(bandwidth, [0, 0])
        bytes_of[0] += size[0]
        bytes_of[1] += size[1]
        times = self._latency.get(latency)
        if times is None:
            latency = self._placed(latency, self._latency)
            times = self._latency.setdefault(latency, [new(), new(), new()])
        observe(times[0], request_ms)
        if upstream_ms is not None:
            observe(times[1], upstream_ms)
        observe(times[2], request_ms - (upstream_ms or 0.0))
        touched = self._touched
        touched[0].add(status)
        touched[1].add(bandwidth)
        touched[2].add(latency)

    def waiting(self, labels: Labels, entries: int) -> None:
        """So many entries of a logger wait now. Past `max_series` new ones are not shown."""
        if labels in self._waiting or len(self._waiting) < self.max_series:
            self._waiting[labels] = entries

    def _placed(self, labels: Labels, known: object) -> Labels:
        """Where a request with labels that nobody had before is counted."""
        if len(self._status) + len(self._bandwidth) + len(self._latency) < self.max_series:
            return labels
        if known is self._status:
            self._on_overflow()
        return (OTHER,) * len(labels)

    def report(self, now: float, after: Expiry) -> dict[str, list[list[object]]]:
        """Return what is described above, and forget what was touched; and the series that were not for so long."""
        touched, self._touched = self._touched, (set(), set(), set())
        tables: tuple[dict[Labels, Any], ...] = (self._status, self._bandwidth, self._latency)
        for table, seen, new_ones, seconds in zip(tables, self._seen, touched, after, strict=True):
            if seconds:
                seen.update(dict.fromkeys(new_ones, now))
                for labels in [labels for labels, at in seen.items() if at < now - seconds]:
                    del table[labels], seen[labels]
        return {
            "status": [[labels, self._status[labels]] for labels in touched[0]],
            "bandwidth": [[labels, *self._bandwidth[labels]] for labels in touched[1]],
            "latency": [[labels, *self._latency[labels]] for labels in touched[2]],
            "waiting": [[labels, entries] for labels, entries in self._waiting.items()],
        }
