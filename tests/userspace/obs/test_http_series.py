from typing import Any

import orjson

from userspace.obs.histogram import LATENCY_MS
from userspace.obs.http_series import NEVER, OTHER, Expiry, HttpSeries


def counting(max_series: int = 100) -> tuple[HttpSeries, list[None]]:
    overflows: list[None] = []
    return HttpSeries(lambda: overflows.append(None), max_series), overflows


def count(series: HttpSeries, route: str = "r", code: str = "200", upstream_ms: float | None = 5.0) -> None:
    series.count((code, route), (route, "bytes"), (route, "ms"), (10, 200), 7.0, upstream_ms)


def reported(series: HttpSeries, now: float = 0.0, expiry: Expiry = NEVER) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(series.report(now, expiry)))  # type: ignore[no-any-return]


def test_each_metric_counts_under_its_own_labels() -> None:
    series, _ = counting()
    count(series)
    count(series, code="404")
    report = reported(series)
    assert sorted(report["status"]) == [[["200", "r"], 1], [["404", "r"], 1]]
    assert report["bandwidth"] == [[["r", "bytes"], 20, 400]]
    [[labels, request, upstream, own]] = report["latency"]
    assert labels == ["r", "ms"]
    assert (request[LATENCY_MS.index(10)], upstream[LATENCY_MS.index(5)], own[LATENCY_MS.index(2)]) == (2, 2, 2)


def test_a_request_that_no_endpoint_saw_has_no_share_of_one() -> None:
    series, _ = counting()
    count(series, upstream_ms=None)
    [[_, request, upstream, own]] = reported(series)["latency"]
    assert not any(upstream) and request == own and sum(request) == 1 + 7.0


def test_a_report_holds_what_was_touched_since_the_last_and_absolute_values() -> None:
    series, _ = counting()
    count(series, "a")
    count(series, "b")
    assert len(reported(series)["status"]) == 2
    assert reported(series) == {"status": [], "bandwidth": [], "latency": [], "waiting": []}
    count(series, "b")
    report = reported(series)
    assert report["status"] == [[["200", "b"], 2]] and report["bandwidth"] == [[["b", "bytes"], 20, 400]]


def test_past_the_limit_new_ones_share_one_and_each_request_is_told() -> None:
    series, overflows = counting(max_series=3)
    count(series, "a")
    for route in ("b", "c", "a"):
        count(series, route)
    report = reported(series)
    assert sorted(report["status"]) == [[["200", "a"], 2], [[OTHER, OTHER], 2]]
    assert sorted(report["bandwidth"]) == [[["a", "bytes"], 20, 400], [[OTHER, OTHER], 20, 400]]
    assert {tuple(row[0]) for row in report["latency"]} == {("a", "ms"), (OTHER, OTHER)}
    assert len(overflows) == 2


def test_what_does_not_change_for_long_is_forgotten_and_begins_anew() -> None:
    series, _ = counting()
    expiry = Expiry(status=5.0)
    count(series, "a")
    reported(series, 100.0, expiry)
    count(series, "b")
    reported(series, 104.0, expiry)
    reported(series, 105.1, expiry)  # "a" is over, "b" is not
    count(series, "a")
    count(series, "b")
    report = reported(series, 106.0, expiry)
    assert sorted(report["status"]) == [[["200", "a"], 1], [["200", "b"], 2]]
    assert sorted(report["bandwidth"]) == [[["a", "bytes"], 20, 400], [["b", "bytes"], 20, 400]], "never: 0"


def test_what_waits_is_reported_whole_each_time_and_has_a_limit() -> None:
    series, _ = counting(max_series=1)
    series.waiting(("tcp logger", "r1", "::1"), 2)
    series.waiting(("tcp logger", "r2", "::1"), 2)
    reported(series)
    series.waiting(("tcp logger", "r1", "::1"), 0)
    assert reported(series)["waiting"] == [[["tcp logger", "r1", "::1"], 0]]
