from typing import Any

import pytest

from userspace.obs import http_totals
from userspace.obs.exposition import render
from userspace.obs.http_series import NEVER, Expiry, HttpSeries
from userspace.obs.http_totals import HttpTotals

STATUS = ("200", "r1", "/a/*", "*.x.test", "s1", "jack", "10.0.0.1", "traditional_http", "", "", "upstream")
TRAFFIC = ("r1", "s1", "jack", "10.0.0.1", "traditional_http", "", "")


def reported(times: int = 1, route: str = "r1", upstream_ms: float | None = 2.0) -> dict[str, Any]:
    series = HttpSeries(lambda: None)
    status, traffic = (STATUS[0], route, *STATUS[2:]), (route, *TRAFFIC[1:])
    for _ in range(times):
        series.count(status, traffic, traffic, (10, 20), 3.0, upstream_ms)
    return series.report(0.0, NEVER)


def text_of(totals: HttpTotals, extra: Any = ((), (), ())) -> str:
    class Collector:
        def collect(self) -> Any:
            return totals.collect(extra)

    return render([Collector()]).decode()  # type: ignore[list-item]


def test_labels_are_apisix_s_in_its_order() -> None:
    totals = HttpTotals()
    totals.take(reported(), 0.0)
    text = text_of(totals)
    assert (
        'apisix_http_status{code="200",route="r1",matched_uri="/a/*",matched_host="*.x.test",service="s1",'
        'consumer="jack",node="10.0.0.1",request_type="traditional_http",request_llm_model="",llm_model="",'
        'response_source="upstream"} 1\n'
    ) in text
    who = 'route="r1",service="s1",consumer="jack",node="10.0.0.1",request_type="traditional_http"'
    more = f'{who},request_llm_model="",llm_model=""'
    assert f'apisix_bandwidth{{type="ingress",{more}}} 10\n' in text
    assert f'apisix_bandwidth{{type="egress",{more}}} 20\n' in text
    assert f'apisix_http_latency_bucket{{type="request",{more},le="5"}} 1\n' in text
    assert f'apisix_http_latency_count{{type="upstream",{more}}} 1\n' in text
    assert f'apisix_http_latency_sum{{type="apisix",{more}}} 1\n' in text


def test_without_an_endpoint_there_is_no_latency_of_one() -> None:
    totals = HttpTotals()
    totals.take(reported(upstream_ms=None), 0.0)
    assert 'type="upstream"' not in text_of(totals) and 'type="apisix"' in text_of(totals)


def test_workers_add_up_and_keep_their_own_values() -> None:
    one, two, both = HttpTotals(), HttpTotals(), HttpTotals()
    one.take(reported(2), 0.0)
    two.take(reported(3), 0.0)
    two.take(reported(4), 0.0)  # absolute: the newest counts
    both.add(one)
    both.add(two)
    assert both.status.values == {STATUS: 6} and both.bandwidth.values == {TRAFFIC: (60, 120)}
    assert both.latency.values[TRAFFIC][0][-1] == 18.0
    assert one.latency.values[TRAFFIC][0][-1] == 6.0 and two.latency.values[TRAFFIC][0][-1] == 12.0


def test_past_the_limit_of_a_node_new_ones_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_totals, "MAX_SERIES", 2)
    both = HttpTotals()
    for number in range(4):
        one = HttpTotals()
        one.take(reported(route=f"r{number}"), 0.0)
        both.add(one)
    other = ("other",) * len(STATUS)
    assert sorted(both.status.values.values()) == [1, 1, 2] and both.status.values[other] == 2
    assert both.bandwidth.values[("other",) * len(TRAFFIC)] == (20, 40)
    assert len(both.latency.values) == 3


def test_what_does_not_change_for_long_is_not_shown_any_more() -> None:
    totals = HttpTotals()
    totals.take(reported(), 100.0)
    totals.take(reported(route="r2"), 104.0)
    totals.expire(Expiry(status=5.0, latency=1.0), 105.1)
    text = text_of(totals)
    assert 'apisix_http_status{code="200",route="r2"' in text and 'code="200",route="r1"' not in text
    assert "apisix_bandwidth{" in text
    assert "apisix_http_latency" not in text, "a metric without series is not declared"


def test_sums_go_by_the_newest_change_of_any_worker() -> None:
    old, new, both = HttpTotals(), HttpTotals(), HttpTotals()
    old.take(reported(), 100.0)
    new.take(reported(), 104.0)
    both.add(new)
    both.add(old)
    both.expire(Expiry(status=5.0), 106.0)
    assert both.status.values == {STATUS: 2}


def test_what_waits_in_workers_adds_up_and_is_gone_with_them() -> None:
    def waiting(entries: int) -> HttpTotals:
        series, totals = HttpSeries(lambda: None), HttpTotals()
        series.waiting(("http logger", "r1", "127.0.0.1"), entries)
        totals.take(series.report(0.0, NEVER), 0.0)
        return totals

    one, two, both = waiting(2), waiting(3), HttpTotals()
    both.add(one)
    both.add(two)
    shown = 'apisix_batch_process_entries{name="http logger",route_id="r1",server_addr="127.0.0.1"} '
    assert f"{shown}5\n" in text_of(both)
    one.end()
    assert "apisix_batch_process_entries" not in text_of(one)


def test_labels_of_the_operator_s_are_named() -> None:
    series, totals = HttpSeries(lambda: None), HttpTotals()
    series.count((*STATUS, "10.0.0.1:80"), TRAFFIC, (*TRAFFIC, "GET"), (1, 1), 1.0, None)
    totals.take(series.report(0.0, NEVER), 0.0)
    shown = text_of(totals, (("addr",), (), ("method",)))
    assert 'response_source="upstream",addr="10.0.0.1:80"} 1' in shown
    assert 'llm_model="",method="GET",le="1"} 1' in shown and 'llm_model=""} 1' in shown
