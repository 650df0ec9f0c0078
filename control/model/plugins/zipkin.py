"""zipkin: spans to Zipkin."""

from control.model.parts.fields import SAMPLE_RATIO
from control.model.terms import among, record, text

NAME = "zipkin"
VERSION = 0.1
PRIORITY = 12011

SCHEMA = record(
    {
        "endpoint": text(),
        "sample_ratio": SAMPLE_RATIO,
        "service_name": text(default="APISIX"),
        "server_addr": text(pattern="^[0-9]{1,3}.[0-9]{1,3}.[0-9]{1,3}.[0-9]{1,3}$"),
        "span_version": among(1, 2, default=2),
    },
    ["endpoint", "sample_ratio"],
)
