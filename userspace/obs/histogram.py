"""Latency histograms: one count per bucket of LATENCY_MS, one for +Inf, then the sum in ms."""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # workers have no use for it
    from prometheus_client.core import Metric

# APISIX's default buckets of apisix_http_latency, in ms.
LATENCY_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000)
SUM: Final = len(LATENCY_MS) + 1
_BOUNDS: Final = tuple(str(bound) for bound in LATENCY_MS) + ("+Inf",)

Histogram = list[float]


def new() -> Histogram:
    return [0] * (SUM + 1)


def observe(histogram: Histogram, ms: float) -> None:
    histogram[bisect_left(LATENCY_MS, ms)] += 1
    histogram[SUM] += ms


def sums(left: Histogram, right: Histogram) -> Histogram:
    """Return a new histogram of what both observed."""
    return [a + b for a, b in zip(left, right, strict=True)]


def add_samples(metric: "Metric", labels: dict[str, str], histogram: Histogram) -> None:
    """Give `metric` what was observed, as Prometheus counts it: each bucket has what is below it too."""
    seen: float = 0
    for bound, count in zip(_BOUNDS, histogram, strict=False):
        seen += count
        metric.add_sample(f"{metric.name}_bucket", labels | {"le": bound}, seen)
    metric.add_sample(f"{metric.name}_count", labels, seen)
    metric.add_sample(f"{metric.name}_sum", labels, histogram[SUM])
