"""openwhisk: a function in OpenWhisk answers."""

from control.model.parts.fields import client, whole_body
from control.model.terms import flag, integer, record, text

NAME = "openwhisk"
VERSION = 0.1
PRIORITY = -1901

_NAME = text(at_most=256, pattern=r"\A([\w]|[\w][\w@ .-]*[\w@.-]+)\z")

SCHEMA = record(
    {
        "api_host": text(),
        "service_token": text(),
        "namespace": _NAME,
        "package": _NAME,
        "action": _NAME,
        "result": flag(True),
        "max_req_body_size": whole_body(),
        **client(integer(1, 60000, default=3000)),
    },
    ["api_host", "service_token", "namespace", "action"],
    encrypt=["service_token"],
)
