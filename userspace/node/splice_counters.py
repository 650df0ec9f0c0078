"""Splices as metrics; and what the kernel counted of their requests in the shape of what a worker counts."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from userspace.node.splice_abi import LATENCY_BUCKETS
from userspace.node.splice_accounts import Count, Owner
from userspace.node.splicing import Splicing
from userspace.obs import durations, histogram

FIRST_BUCKET = 64e-6  # seconds
# The upper ends of the kernel's buckets, but for the last, which has none.
BOUNDS = tuple(FIRST_BUCKET * (1 << n) for n in range(LATENCY_BUCKETS - 1))
CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_LABELS = ["route", "upstream", "endpoint"]


class SpliceCollector(Collector):
    """Reads the counters of the kernel at each scrape."""

    def __init__(self, splicing: Splicing) -> None:
        self._splicing = splicing

    def collect(self) -> Iterator[Metric]:
        found = self._splicing
        states = GaugeMetricFamily("unilb_splices", "Splices at the last sweep.", labels=["state", "kind"])
        for (state, kind), count in found.states.items():
            states.add_metric([state, kind], count)
        yield states
        yield _by("unilb_splices_made", "Splices made.", "kind", found.made)
        yield _by("unilb_splice_refused", "Hand-overs that came to nothing.", "reason", found.refused)
        yield _by("unilb_splice_back", "Connections that came back to a worker.", "reason", found.back)
        took = Metric(
            "unilb_splice_back_seconds",
            "From the segment that brings a connection back until its socket is ready for a worker.",
            "histogram",
        )
        durations.add_samples(took, found.back_took)
        yield took
        yield _by("unilb_splices_ended", "Splices that are no more.", "reason", found.ended)
        yield GaugeMetricFamily("unilb_splices_max", "Splices that the table holds.", found.size)
        yield GaugeMetricFamily("unilb_splice_epoch", "What was decided under an earlier one comes back.", found.epoch)
        yield CounterMetricFamily(
            "unilb_splice_accounts_overflow", "Splices counted for nobody.", found.accounts.overflowed
        )
        yield from _requests(found.accounts.read())


def _by(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        metric.add_metric([value], count)
    return metric


def _requests(counts: Iterable[tuple[Owner, Count]]) -> Iterator[Metric]:
    requests = CounterMetricFamily("unilb_splice_requests", "Requests that the kernel let through.", labels=_LABELS)
    octets = CounterMetricFamily("unilb_splice_bytes", "Payload carried.", labels=[*_LABELS, "direction"])
    responses = CounterMetricFamily("unilb_splice_responses", "Responses, by class.", labels=[*_LABELS, "class"])
    latency = HistogramMetricFamily(
        "unilb_splice_latency_seconds", "From a request to the first byte of its response.", labels=_LABELS
    )
    for owner, count in counts:
        labels = list(owner)
        requests.add_metric(labels, count.requests)
        for direction, amount in zip(("in", "out"), count.bytes, strict=True):
            octets.add_metric([*labels, direction], amount)
        for name, amount in zip(CLASSES, count.statuses, strict=True):
            responses.add_metric([*labels, name], amount)
        seen, buckets = 0, []
        for bound, amount in zip((*map(str, BOUNDS), "+Inf"), count.latency, strict=True):
            seen += amount
            buckets.append((bound, seen))
        latency.add_metric(labels, buckets, count.seconds)
    yield from (requests, octets, responses, latency)


def as_workers_count(counts: Iterable[tuple[Owner, Count]]) -> tuple[int, dict[Owner, list[Any]]]:
    """Return (requests, rows as userspace/obs/fold.py has them): spliced requests in the metrics of all requests.

    The kernel knows a response's class alone; and of its time only until the first byte, all of it the upstream's.
    """
    rows: dict[Owner, list[Any]] = {}
    total = 0
    for owner, count in counts:
        if not count.requests and not any(count.bytes):
            continue
        total += count.requests
        codes = {name: amount for name, amount in zip(CLASSES, count.statuses, strict=True) if name != "none"}
        spent = histogram.new()
        for bound, amount in zip((*BOUNDS, float("inf")), count.latency, strict=True):
            spent[bisect_left(histogram.LATENCY_MS, bound * 1000)] += amount
        spent[histogram.SUM] = count.seconds * 1000
        own = histogram.new()
        own[0] = sum(count.latency)
        shown = {name: amount for name, amount in codes.items() if amount}
        rows[owner] = [shown, count.bytes[0], count.bytes[1], spent, list(spent), own]
    return total, rows
