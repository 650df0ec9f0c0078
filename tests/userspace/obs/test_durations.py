from prometheus_client.core import Metric

from userspace.obs import durations
from userspace.obs.histogram import sums


def test_a_wait_counts_in_the_first_bucket_that_holds_it() -> None:
    found = durations.new()
    for seconds in (0.0, 100e-6, 101e-6, 0.001, 5.0):
        durations.observe(found, seconds)
    assert (found[0], found[1], found[durations.BOUNDS.index(0.001)], found[len(durations.BOUNDS)]) == (2, 1, 1, 1)
    assert found[durations.SUM] == sum((0.0, 100e-6, 101e-6, 0.001, 5.0))


def test_prometheus_sees_sums_of_buckets_and_workers() -> None:
    one, other = durations.new(), durations.new()
    durations.observe(one, 0.0015)
    durations.observe(other, 0.5)
    metric = Metric("m_seconds", "text", "histogram")
    durations.add_samples(metric, sums(one, other))
    values = {(sample.name, sample.labels.get("le")): sample.value for sample in metric.samples}
    assert (values["m_seconds_bucket", "0.001"], values["m_seconds_bucket", "0.0015"]) == (0, 1)
    assert (values["m_seconds_bucket", "+Inf"], values["m_seconds_count", None]) == (2, 2)
    assert values["m_seconds_sum", None] == 0.5015
