"""syslog: log to a syslog server."""

from control.model.parts.checks import stream_log_problem
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import Schema, choice, flag, integer, record, text

NAME = "syslog"
VERSION = 0.1
PRIORITY = 401

_FIELDS: Schema = {
    "host": text(),
    "port": integer(),
    "flush_limit": integer(1, default=4096),
    "drop_limit": integer(default=1048576),
    "timeout": integer(1, default=3000),
    "sock_type": choice("tcp", "udp", default="tcp"),
    "pool_size": integer(5, default=5),
    "tls": flag(False),
}
SCHEMA = record({**_FIELDS, **FORMATS, **BODIES, **batches("sys logger")}, ["host", "port"])
STREAM_SCHEMA = record({**_FIELDS, "log_format": {"type": "object"}, **batches("stream sys logger")}, ["host", "port"])
METADATA_SCHEMA = LOG_METADATA
check = stream_log_problem
