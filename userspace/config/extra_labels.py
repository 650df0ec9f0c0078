"""Labels of the operator's own on the metrics of plugin prometheus: `METRIC.LABEL=$VARIABLE`."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

METRICS: Final = ("http_status", "bandwidth", "http_latency")
MAX_LABELS: Final = 16  # of all metrics together
# What they have already.
_TAKEN: Final = frozenset(
    (
        *("code", "route", "matched_uri", "matched_host", "service", "consumer", "node", "type", "le"),
        *("request_type", "request_llm_model", "llm_model", "response_source"),
    )
)
_FORM: Final = re.compile(rf"({'|'.join(METRICS)})\.([a-zA-Z_][a-zA-Z0-9_]{{0,63}})=\$([a-zA-Z0-9_.]{{1,128}})")


class ExtraLabel(NamedTuple):
    metric: str
    name: str
    variable: str


def read_extra_labels(texts: Iterable[str]) -> tuple[ExtraLabel, ...]:
    """Raises ValueError, which says what is wrong with which."""
    found: list[ExtraLabel] = []
    for text in texts:
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError(f'"{text}" is not METRIC.LABEL=$VARIABLE, METRIC one of {", ".join(METRICS)}')
        label = ExtraLabel(*form.groups())
        if label.name in _TAKEN or any(label[:2] == other[:2] for other in found):
            raise ValueError(f'"{text}": {label.metric} has a label {label.name}')
        found.append(label)
    if len(found) > MAX_LABELS:
        raise ValueError(f"more than {MAX_LABELS}")
    return tuple(found)


def by_metric(texts: Iterable[str]) -> tuple[tuple[ExtraLabel, ...], ...]:
    """Those of each of METRICS, in their order."""
    labels = read_extra_labels(texts)
    return tuple(tuple(label for label in labels if label.metric == metric) for metric in METRICS)
