"""http-dubbo: HTTP in front of Dubbo, with its own serialization."""

from control.model.parts.fields import whole_body
from control.model.terms import flag, number, record, text

NAME = "http-dubbo"
VERSION = 0.1
PRIORITY = 504

_MILLISECONDS = number(default=6000)

SCHEMA = record(
    {
        "service_name": text(1),
        "service_version": text(pattern=r"^\d+\.\d+\.\d+", default="0.0.0"),
        "method": text(1),
        "params_type_desc": text(default=""),
        "serialization_header_key": text(),
        "serialized": flag(False),
        "connect_timeout": _MILLISECONDS,
        "read_timeout": _MILLISECONDS,
        "send_timeout": _MILLISECONDS,
        "max_req_body_size": whole_body(),
    },
    ["service_name", "method"],
)
