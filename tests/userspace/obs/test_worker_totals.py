from prometheus_client.parser import text_string_to_metric_families

from userspace.obs import durations
from userspace.obs.counters import Counters
from userspace.obs.exposition import render
from userspace.obs.worker_totals import WorkerTotals


def counted(requests: int, route: str = "r1", endpoint: str = "10.0.0.1:80") -> Counters:
    counters = Counters()
    for _ in range(requests):
        counters.exchange(counters.series(route, "u1", endpoint), 200, 10, 20, 3.0, 2.0)
        labels = (route, "", "", "10.0.0.1", "", "", "")
        counters.http.count(("200", route, *[""] * 9), labels, labels, (10, 20), 3.0, 2.0)
    counters.totals["accepted"] = requests
    durations.observe(counters.decided, 0.0007)
    counters.gauges["active"] = 1
    counters.gauges["revision"] = 7
    return counters


def samples(totals: WorkerTotals) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    text = render([totals]).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            # The parser gives every counter the ending _total, also those that APISIX names without.
            name = sample.name if f"\n{sample.name}" in text else sample.name.removesuffix("_total")
            key = (name, frozenset(item for item in sample.labels.items() if item[1]))
            assert key not in found, f"{key} appears twice"
            found[key] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_workers_are_summed_and_their_revision_is_told_apart() -> None:
    totals = WorkerTotals()
    totals.report("0", counted(2).report())
    totals.report("1", counted(3).report())
    found = samples(totals)
    assert found[key("apisix_http_status", code="200", route="r1")] == 5
    assert found[key("apisix_http_requests_total")] == 5
    assert found[key("apisix_bandwidth", type="egress", route="r1", node="10.0.0.1")] == 100
    assert found[key("apisix_http_latency_bucket", type="request", route="r1", node="10.0.0.1", le="2")] == 0
    assert found[key("apisix_http_latency_bucket", type="request", route="r1", node="10.0.0.1", le="+Inf")] == 5
    assert found[key("apisix_http_latency_sum", type="apisix", route="r1", node="10.0.0.1")] == 5
    assert found[key("unilb_route_bytes_total", route="r1", direction="out")] == 100
    assert found[key("unilb_route_latency_ms_bucket", route="r1", part="request", le="+Inf")] == 5
    assert found[key("unilb_route_latency_ms_sum", route="r1", part="gateway")] == 5
    assert found[key("apisix_nginx_http_current_connections", state="active")] == 2
    assert found[key("unilb_config_revision", worker="1")] == 7
    assert found[key("unilb_splice_decided_seconds_bucket", le="0.0006")] == 0
    assert found[key("unilb_splice_decided_seconds_bucket", le="0.0008")] == 2


def test_totals_never_go_back_when_a_worker_is_replaced() -> None:
    totals = WorkerTotals()
    totals.report("0", counted(5).report())
    before = samples(totals)
    totals.gone("0")
    after = samples(totals)
    status = key("apisix_http_status", code="200", route="r1")
    assert before[status] == after[status] == 5
    assert after[key("apisix_nginx_http_current_connections", state="active")] == 0
    assert key("unilb_config_revision", worker="0") not in after
    totals.report("0", counted(1).report())
    assert samples(totals)[status] == 6
    totals.gone("never seen")


def test_a_report_without_a_series_keeps_its_last_values() -> None:
    totals = WorkerTotals()
    counters = counted(2)
    totals.report("0", counters.report())
    totals.report("0", counters.report())
    assert samples(totals)[key("apisix_http_requests_total")] == 2
    assert samples(totals)[key("apisix_http_status", code="200", route="r1")] == 2


def test_a_route_without_the_plugin_has_unilb_s_series_and_none_of_apisix_s() -> None:
    totals, counters = WorkerTotals(), Counters()
    counters.exchange(counters.series("r1", "u1", "10.0.0.1:80"), 200, 10, 20, 3.0, 2.0)
    totals.report("0", counters.report())
    found = samples(totals)
    assert found[key("unilb_route_bytes_total", route="r1", direction="in")] == 10
    assert not [name for name, _ in found if name.startswith(("apisix_http_s", "apisix_http_l", "apisix_bandwidth"))]


def test_the_endpoints_of_one_route_share_its_series_and_keep_their_own() -> None:
    totals = WorkerTotals()
    totals.report("0", counted(2, endpoint="10.0.0.1:80").report())
    totals.report("1", counted(3, endpoint="10.0.0.1:81").report())
    found = samples(totals)
    assert found[key("unilb_route_bytes_total", route="r1", direction="in")] == 50
    one = key("unilb_endpoint_responses_total", route="r1", upstream="u1", endpoint="10.0.0.1:81", **{"class": "2xx"})
    assert found[one] == 3
