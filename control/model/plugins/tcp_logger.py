"""tcp-logger: log to a TCP server."""

from control.model.parts.checks import stream_log_problem
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, record, text

NAME = "tcp-logger"
VERSION = 0.1
PRIORITY = 405

SCHEMA = record(
    {
        "host": text(),
        "port": integer(0),
        "tls": flag(False),
        "tls_options": text(),
        "timeout": integer(1, default=1000),
        **FORMATS,
        **BODIES,
        **batches("tcp logger"),
    },
    ["host", "port"],
)
METADATA_SCHEMA = LOG_METADATA
check = stream_log_problem
