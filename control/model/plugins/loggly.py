"""loggly: log to Loggly."""

from control.model.parts.checks import log_problem
from control.model.parts.logs import BODIES, FORMATS, PENDING, batches
from control.model.terms import choice, flag, integer, items, mapping, record, text

NAME = "loggly"
VERSION = 0.1
PRIORITY = 411

_SEVERITIES = ("EMEGR", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
_SEVERITY = tuple(word for name in _SEVERITIES for word in (name, name.lower()))

SCHEMA = record(
    {
        "customer_token": text(),
        "severity": choice(*_SEVERITY, default="INFO"),
        "severity_map": mapping(choice(*_SEVERITY), "^[1-5][0-9]{2}$", additionalProperties=False),
        "tags": items(text(pattern="^(?!tag=)[ -~]*"), 1, default=["apisix"]),
        "ssl_verify": flag(True),
        **FORMATS,
        **BODIES,
        **batches("loggly"),
    },
    ["customer_token"],
    encrypt=["customer_token"],
)
METADATA_SCHEMA = record(
    {
        "host": text(default="logs-01.loggly.com"),
        "port": integer(default=514),
        "protocol": choice("syslog", "http", "https", default="syslog"),
        "timeout": integer(1, default=5000),
        **FORMATS,
        **PENDING,
    }
)
check = log_problem
