"""udp-logger: log to a UDP server."""

from control.model.parts.checks import log_problem
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import integer, record, text

NAME = "udp-logger"
VERSION = 0.1
PRIORITY = 400

SCHEMA = record(
    {
        "host": text(),
        "port": integer(0),
        "timeout": integer(1, default=3),
        **FORMATS,
        **BODIES,
        **batches("udp logger"),
    },
    ["host", "port"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
