"""splunk-hec-logging: log to Splunk."""

from control.model.parts.fields import URL
from control.model.parts.logs import FORMATS, LOG_METADATA, batches
from control.model.terms import flag, integer, record, text

NAME = "splunk-hec-logging"
VERSION = 0.1
PRIORITY = 409

SCHEMA = record(
    {
        "endpoint": record(
            {
                "uri": text(pattern=URL),
                "token": text(),
                "channel": text(),
                "timeout": integer(1, default=10),
                "keepalive_timeout": integer(1000, default=60000),
            },
            ["uri", "token"],
        ),
        "ssl_verify": flag(True),
        **FORMATS,
        **batches("splunk-hec-logging"),
    },
    ["endpoint"],
    encrypt=["endpoint.token"],
)
METADATA_SCHEMA = LOG_METADATA
