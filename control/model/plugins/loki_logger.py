"""loki-logger: log to Loki."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import URL, client
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, items, mapping, record, text

NAME = "loki-logger"
VERSION = 0.1
PRIORITY = 414

SCHEMA = record(
    {
        "endpoint_addrs": items(text(pattern=URL), 1),
        "endpoint_uri": text(1, default="/loki/api/v1/push"),
        "tenant_id": text(default="fake"),
        "headers": mapping(text(1)),
        "log_labels": mapping(text(1), default={"job": "apisix"}),
        **client(integer(1, 60000, default=3000)),
        "ssl_verify": flag(False),
        **FORMATS,
        **BODIES,
        **batches("loki logger"),
    },
    ["endpoint_addrs"],
    encrypt=["headers"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
