"""elasticsearch-logger: log to Elasticsearch."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import HEADER_NAME
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, items, mapping, needs, record, text

NAME = "elasticsearch-logger"
VERSION = 0.1
PRIORITY = 413

SCHEMA = record(
    {
        "endpoint_addr": text(pattern="[^/]$"),
        "endpoint_addrs": items(text(pattern="[^/]$"), 1),
        "field": record({"index": text()}, ["index"]),
        "auth": record({"username": text(1), "password": text(1)}, oneOf=[needs("username", "password")]),
        "headers": mapping(text(1), HEADER_NAME, 1, additionalProperties=False),
        "timeout": integer(1, default=10),
        "ssl_verify": flag(True),
        **FORMATS,
        **BODIES,
        **batches("elasticsearch-logger"),
    },
    encrypt=["auth.password", "headers"],
    oneOf=[needs("endpoint_addr", "field"), needs("endpoint_addrs", "field")],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
