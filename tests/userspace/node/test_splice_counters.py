"""Splices as Prometheus reads them, by themselves and among all requests."""

from collections import Counter
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from userspace.node import splice_counters
from userspace.node.splice_accounts import NOBODY, Count
from userspace.node.splice_counters import SpliceCollector
from userspace.obs import durations, histogram
from userspace.obs.exposition import render
from userspace.obs.worker_totals import WorkerTotals

OWNER = ("r1", "u1", "10.1.0.21:80")
LATENCY = (2, *[0] * 3, 5, *[0] * 10, 1)  # within 64 us, within 1024 us, beyond 1.05 s
COUNT = Count(8, (800, 9000), (1, 0, 5, 0, 1, 1), LATENCY, 2.5)
NOTHING = Count(0, (0, 0), (0,) * 6, (0,) * 16, 0.0)


def samples(collector: object) -> dict[tuple[str, tuple[str, ...]], float]:
    text = render([collector]).decode()  # type: ignore[list-item]
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_splices_are_counted_by_state_and_reason() -> None:
    took = durations.new()
    for seconds in (250e-6, 0.0007, 2.0):
        durations.observe(took, seconds)
    splicing = SimpleNamespace(
        states=Counter({("active", "guarded"): 3}),
        made=Counter(guarded=9),
        refused=Counter(busy=2),
        back=Counter(epoch=4),
        back_took=took,
        ended=Counter(closed=5),
        size=16383,
        epoch=7,
        accounts=SimpleNamespace(overflowed=1, read=lambda: [(OWNER, COUNT)]),
    )
    found = samples(SpliceCollector(splicing))  # type: ignore[arg-type]
    assert found["unilb_splices", ("active", "guarded")] == 3
    assert found["unilb_splices_made_total", ("guarded",)] == 9
    assert found["unilb_splice_refused_total", ("busy",)] == 2
    assert found["unilb_splice_back_total", ("epoch",)] == 4
    bounds = ("0.0002", "0.0003", "0.001", "1.0", "+Inf")
    assert [found["unilb_splice_back_seconds_bucket", (bound,)] for bound in bounds] == [0, 1, 2, 2, 3]
    assert found["unilb_splices_ended_total", ("closed",)] == 5
    assert found["unilb_splices_max", ()] == 16383
    assert found["unilb_splice_epoch", ()] == 7
    assert found["unilb_splice_accounts_overflow_total", ()] == 1
    assert found["unilb_splice_requests_total", OWNER] == 8
    assert found["unilb_splice_bytes_total", (*OWNER, "out")] == 9000
    assert found["unilb_splice_responses_total", (*OWNER, "2xx")] == 5
    assert found["unilb_splice_latency_seconds_bucket", (*OWNER, "6.4e-05")] == 2
    assert found["unilb_splice_latency_seconds_bucket", (*OWNER, "0.001024")] == 7
    assert found["unilb_splice_latency_seconds_bucket", (*OWNER, "+Inf")] == 8
    assert found["unilb_splice_latency_seconds_sum", OWNER] == 2.5


def test_among_all_requests_they_are_of_the_bucket_that_holds_theirs() -> None:
    requests, rows = splice_counters.as_workers_count([(NOBODY, NOTHING), (OWNER, COUNT)])
    assert requests == 8
    codes, ingress, egress, whole, upstream, own = rows[OWNER]
    assert NOBODY not in rows
    assert (codes, ingress, egress) == ({"2xx": 5, "4xx": 1, "5xx": 1}, 800, 9000)
    assert whole == upstream
    by_bound = dict(zip((*histogram.LATENCY_MS, "inf"), whole, strict=False))
    assert (by_bound[1], by_bound[2], by_bound["inf"]) == (2, 5, 1)
    assert whole[histogram.SUM] == pytest.approx(2500)
    assert sum(own[:-1]) == 8


def test_the_metrics_of_all_requests_have_them_once() -> None:
    totals = WorkerTotals()
    for _ in range(2):  # two scrapes
        totals.beside(*splice_counters.as_workers_count([(OWNER, COUNT)]))
    found = samples(totals)
    assert found["apisix_http_requests_total", ()] == 8
    assert found["unilb_endpoint_responses_total", (*OWNER, "2xx")] == 5
    assert found["unilb_route_bytes_total", ("r1", "out")] == 9000


def test_lines_about_them_are_lines_of_the_access_log() -> None:
    totals = WorkerTotals()
    totals.beside(8, {}, 7, 1)
    found = samples(totals)
    assert found["unilb_access_log_lines_total", ()] == 7
    assert found["unilb_access_log_dropped_total", ()] == 1
