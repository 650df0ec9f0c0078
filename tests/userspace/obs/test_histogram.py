from prometheus_client.core import Metric

from userspace.obs.histogram import LATENCY_MS, SUM, add_samples, new, observe, sums


def test_a_bucket_includes_its_bound_and_the_last_has_no_bound() -> None:
    histogram = new()
    for ms in (5.0, 5.1, 100000.0):
        observe(histogram, ms)
    assert histogram[LATENCY_MS.index(5)] == histogram[LATENCY_MS.index(10)] == histogram[len(LATENCY_MS)] == 1
    assert histogram[SUM] == 100010.1 and sum(histogram[:SUM]) == 3


def test_sums_leave_their_parts_alone() -> None:
    one, two = new(), new()
    observe(one, 1)
    observe(two, 2)
    assert sums(one, two)[SUM] == 3
    assert (one[SUM], two[SUM]) == (1, 2)


def test_each_bucket_that_is_shown_has_what_is_below_it() -> None:
    histogram = new()
    observe(histogram, 1.5)
    observe(histogram, 7)
    metric = Metric("m", "", "histogram")
    add_samples(metric, {"a": "b"}, histogram)
    shown = {(s.name, s.labels.get("le")): s.value for s in metric.samples}
    assert [shown["m_bucket", bound] for bound in ("1", "2", "5", "10", "+Inf")] == [0, 1, 1, 2, 2]
    assert shown["m_count", None] == 2 and shown["m_sum", None] == 8.5
