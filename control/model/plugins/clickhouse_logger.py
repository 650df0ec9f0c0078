"""clickhouse-logger: log to ClickHouse."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import URL
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, items, needs, record, text

NAME = "clickhouse-logger"
VERSION = 0.1
PRIORITY = 398

_OTHERS = ("user", "password", "database", "logtable")

SCHEMA = record(
    {
        "endpoint_addr": text(pattern=URL),
        "endpoint_addrs": items(text(pattern=URL), 1),
        **{name: text(default="") for name in _OTHERS},
        "timeout": integer(1, default=3),
        "ssl_verify": flag(True),
        **FORMATS,
        **BODIES,
        **batches("clickhouse-logger"),
    },
    encrypt=["password"],
    oneOf=[needs("endpoint_addr", *_OTHERS), needs("endpoint_addrs", *_OTHERS)],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
