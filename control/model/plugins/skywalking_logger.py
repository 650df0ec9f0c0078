"""skywalking-logger: log to SkyWalking."""

from control.model.parts.checks import log_problem
from control.model.parts.fields import URL
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import integer, record, text

NAME = "skywalking-logger"
VERSION = 0.1
PRIORITY = 408

SCHEMA = record(
    {
        "endpoint_addr": text(pattern=URL),
        "service_name": text(default="APISIX"),
        "service_instance_name": text(default="APISIX Instance Name"),
        "timeout": integer(1, default=3),
        **FORMATS,
        **BODIES,
        **batches("skywalking logger"),
    },
    ["endpoint_addr"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
