"""Histograms of waits that are short: one count per bound of BOUNDS, in seconds, one for +Inf, then the sum."""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # workers have no use for it
    from prometheus_client.core import Metric

BOUNDS: Final = (
    *(100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 600e-6, 800e-6, 0.001, 0.0015, 0.002, 0.003, 0.005),
    *(0.007, 0.01, 0.014, 0.02, 0.05, 0.1, 1.0),
)
SUM: Final = len(BOUNDS) + 1
_BOUNDS: Final = (*map(str, BOUNDS), "+Inf")

Durations = list[float]


def new() -> Durations:
    return [0] * (SUM + 1)


def observe(durations: Durations, seconds: float) -> None:
    durations[bisect_left(BOUNDS, seconds)] += 1
    durations[SUM] += seconds


def add_samples(metric: "Metric", durations: Durations) -> None:
    """Give `metric` what was observed, as Prometheus counts it: each bucket has what is below it too."""
    seen: float = 0
    for bound, count in zip(_BOUNDS, durations, strict=False):
        seen += count
        metric.add_sample(f"{metric.name}_bucket", {"le": bound}, seen)
    metric.add_sample(f"{metric.name}_count", {}, seen)
    metric.add_sample(f"{metric.name}_sum", {}, durations[SUM])
