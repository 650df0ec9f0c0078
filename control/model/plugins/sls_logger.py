"""sls-logger: log to Alibaba Cloud."""

from control.model.parts.checks import log_problem
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, record, text

NAME = "sls-logger"
VERSION = 0.1
PRIORITY = 406

SCHEMA = record(
    {
        "host": text(),
        "port": integer(),
        "project": text(),
        "logstore": text(),
        "access_key_id": text(),
        "access_key_secret": text(),
        "timeout": integer(1, default=5000),
        "ssl_verify": flag(True),
        **FORMATS,
        **BODIES,
        **batches("sls-logger"),
    },
    ["host", "port", "project", "logstore", "access_key_id", "access_key_secret"],
    encrypt=["access_key_secret"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
