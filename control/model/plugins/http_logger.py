"""http-logger: log to an HTTP server."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import URL
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import choice, flag, integer, record, text

NAME = "http-logger"
VERSION = 0.1
PRIORITY = 410

SCHEMA = record(
    {
        "uri": text(pattern=URL),
        "auth_header": text(),
        "timeout": integer(1, default=3),
        "concat_method": choice("json", "new_line", default="json"),
        "ssl_verify": flag(False),
        **FORMATS,
        **BODIES,
        **batches("http logger"),
    },
    ["uri"],
    encrypt=["auth_header"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
