from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from userspace.obs.exposition import render


class Fixed(Collector):
    def __init__(self, *metrics: Metric) -> None:
        self.metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def test_a_counter_named_without_total_is_declared_as_its_samples_are_named() -> None:
    metric = Metric("apisix_http_status", "By code.", "counter")
    metric.add_sample("apisix_http_status", {"code": "200"}, 3)
    assert render([Fixed(metric)]) == (
        b'# HELP apisix_http_status By code.\n# TYPE apisix_http_status counter\napisix_http_status{code="200"} 3\n'
    )


def test_hostile_label_values_stay_inside_their_quotes() -> None:
    metric = Metric("m", "One\nline \\ only.", "gauge")
    metric.add_sample("m", {"route": 'a"b\\c\nd'}, 0.5)
    text = render([Fixed(metric)])
    assert text == b'# HELP m One\\nline \\\\ only.\n# TYPE m gauge\nm{route="a\\"b\\\\c\\nd"} 0.5\n'
    [family] = text_string_to_metric_families(text.decode())
    assert family.samples[0].labels == {"route": 'a"b\\c\nd'}


def test_collectors_of_the_client_library_come_out_as_it_would_write_them() -> None:
    registry = CollectorRegistry()
    Counter("drops", "Drops.", ["reason"], registry=registry).labels("full").inc(2)
    Gauge("sessions", "Sessions.", registry=registry).set(float("inf"))
    Histogram("age", "Age.", buckets=(1, 2), registry=registry).observe(1.5)
    text = render([registry]).decode()
    assert "# TYPE drops_total counter\n" in text and 'drops_total{reason="full"} 2\n' in text
    assert "sessions +Inf\n" in text and 'age_bucket{le="2.0"} 1\n' in text
    assert "_created" not in text


def test_values_that_are_no_number_are_written_as_prometheus_reads_them() -> None:
    metric = Metric("m", "M.", "gauge")
    metric.add_sample("m", {"v": "nan"}, float("nan"))
    metric.add_sample("m", {"v": "low"}, float("-inf"))
    metric.add_sample("m", {"v": "big"}, 2.0**60)
    assert render([Fixed(metric)]).endswith(b'm{v="nan"} NaN\nm{v="low"} -Inf\nm{v="big"} 1152921504606846976\n')
