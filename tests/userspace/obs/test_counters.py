from typing import Any

import orjson

from userspace.obs.counters import Counters
from userspace.obs.histogram import LATENCY_MS
from userspace.obs.http_series import OTHER


def rows(counters: Counters) -> list[Any]:
    series = counters.report()["series"]
    assert isinstance(series, list)
    return series


def test_an_exchange_is_counted_by_code_bytes_and_latency() -> None:
    counters = Counters()
    series = counters.series("r1", "u1", "10.0.0.1:80")
    counters.exchange(series, 200, 100, 2000, request_ms=7.0, upstream_ms=5.0)
    counters.exchange(series, 503, 10, 20, request_ms=100000.0, upstream_ms=0.0)
    [[route, upstream, endpoint, codes, bytes_in, bytes_out, request, waited, own]] = rows(counters)
    assert (route, upstream, endpoint) == ("r1", "u1", "10.0.0.1:80")
    assert codes == {"200": 1, "503": 1}
    assert (bytes_in, bytes_out) == (110, 2020)
    assert request[LATENCY_MS.index(10)] == 1 and request[len(LATENCY_MS)] == 1 and request[-1] == 100007.0
    assert waited[LATENCY_MS.index(5)] == 1, "a bucket includes its bound"
    assert own[LATENCY_MS.index(2)] == 1
    assert counters.totals["requests"] == 2


def test_a_report_holds_only_what_changed_and_absolute_values() -> None:
    counters = Counters()
    one, two = counters.series("r1", "u", "e"), counters.series("r2", "u", "e")
    counters.exchange(one, 200, 1, 1, 1, 1)
    counters.exchange(two, 200, 1, 1, 1, 1)
    assert len(rows(counters)) == 2
    assert rows(counters) == []
    counters.exchange(two, 200, 1, 1, 1, 1)
    [[route, _, _, codes, *_]] = rows(counters)
    assert (route, codes) == ("r2", {"200": 2})


def test_series_past_the_limit_share_one_row_and_are_counted() -> None:
    counters = Counters(max_series=2)
    for number in range(5):
        counters.exchange(counters.series(f"r{number}", "u", "e"), 200, 1, 1, 1, 1)
    found = {row[0]: row[3] for row in rows(counters)}
    assert found == {"r0": {"200": 1}, "r1": {"200": 1}, OTHER: {"200": 3}}
    assert counters.totals["series_overflow"] == 3


def test_what_a_plugin_counts_is_reported_too_and_its_limit_is_counted_with_the_others() -> None:
    counters = Counters(max_series=3)
    for code in ("200", "404"):
        counters.http.count((code,), ("r",), ("r",), (1, 1), 1.0, None)
    http: Any = counters.report()["http"]
    assert sorted(http["status"]) == [[("200",), 1], [(OTHER,), 1]]
    assert counters.totals["series_overflow"] == 1


def test_a_report_is_json() -> None:
    counters = Counters()
    counters.exchange(counters.series("r1", "u", "e"), 200, 1, 1, 1.5, 1)
    counters.error("upstream", "connect_refused")
    report = orjson.loads(orjson.dumps(counters.report()))
    assert report["errors"] == {"upstream connect_refused": 1}
