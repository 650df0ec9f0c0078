"""rocketmq-logger: log to RocketMQ."""

from control.model.parts.checks import log_problem
from control.model.parts.logs import BODIES, FORMATS, LOG_METADATA, batches
from control.model.terms import choice, flag, integer, items, record, text

NAME = "rocketmq-logger"
VERSION = 0.1
PRIORITY = 402

SCHEMA = record(
    {
        "meta_format": choice("default", "origin", default="default"),
        "nameserver_list": items(text(), 1),
        "topic": text(),
        "key": text(),
        "tag": text(),
        "timeout": integer(1, default=3),
        "use_tls": flag(False),
        "access_key": text(default=""),
        "secret_key": text(default=""),
        **FORMATS,
        **BODIES,
        **batches("rocketmq logger"),
    },
    ["nameserver_list", "topic"],
    encrypt=["secret_key"],
)
METADATA_SCHEMA = LOG_METADATA
check = log_problem
