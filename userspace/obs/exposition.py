"""Prometheus text exposition, format 0.0.4."""

from collections.abc import Iterable
from math import inf

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(collectors: Iterable[Collector]) -> bytes:
    """Return the metrics of all collectors as UTF-8 text; a metric without samples is still declared.

    prometheus_client's own writer appends `_total` to the declared name of every counter, which would part
    `# TYPE apisix_http_status_total` from the samples of apisix_http_status: APISIX names its counters without.
    """
    return "".join(
        line for collector in collectors for metric in collector.collect() for line in _lines(metric)
    ).encode()


def _lines(metric: Metric) -> Iterable[str]:
    name = metric.name
    if metric.type == "counter" and any(sample.name == f"{name}_total" for sample in metric.samples):
        name = f"{name}_total"
    text = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
    kind = "untyped" if metric.type == "unknown" else metric.type
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for sample in metric.samples:
        # prometheus_client adds a creation time to its counters and histograms; format 0.0.4 has no place for it.
        if sample.name.endswith("_created") and not metric.name.endswith("_created"):
            continue
        labels = ",".join(f'{key}="{_escape(value)}"' for key, value in sample.labels.items())
        yield (
            f"{sample.name}{{{labels}}} {_number(sample.value)}\n"
            if labels
            else f"{sample.name} {_number(sample.value)}\n"
        )


def _number(value: float) -> str:
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
