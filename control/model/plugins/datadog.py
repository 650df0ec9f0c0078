"""datadog: numbers to Datadog."""

from control.model.parts.logs import PENDING, batches
from control.model.terms import flag, integer, items, record, text

NAME = "datadog"
VERSION = 0.1
PRIORITY = 495

_TAGS = text(1, 200, r"^[\p{L}][\p{L}\p{N}_.:/-]*(?<!:)$")

SCHEMA = record(
    {
        "prefer_name": flag(True),
        "include_path": flag(False),
        "include_method": flag(False),
        "constant_tags": items(_TAGS, default=[]),
        **batches("datadog"),
    }
)
METADATA_SCHEMA = record(
    {
        "host": text(default="127.0.0.1"),
        "port": integer(0, default=8125),
        "namespace": text(default="apisix"),
        "constant_tags": items(_TAGS, default=["source:apisix"]),
        **PENDING,
    }
)
