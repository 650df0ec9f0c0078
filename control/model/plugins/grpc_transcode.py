"""grpc-transcode: HTTP and JSON in front of gRPC."""

from control.model.parts.fields import OBJECT_ID, whole_body
from control.model.terms import choice, flag, items, number, record, text

NAME = "grpc-transcode"
VERSION = 0.1
PRIORITY = 506

_OPTIONS = (
    ("enum_as_name", "enum_as_value"),
    ("int64_as_number", "int64_as_string", "int64_as_hexstring"),
    ("auto_default_values", "no_default_values", "use_default_values", "use_default_metatable"),
    ("enable_hooks", "disable_hooks"),
)

SCHEMA = record(
    {
        "proto_id": OBJECT_ID,
        "service": text(),
        "method": text(),
        "deadline": number(default=0),
        "pb_option": items(
            {"type": "string", "anyOf": [choice(*names) for names in _OPTIONS]},
            1,
            default=["enum_as_name", "int64_as_number", "auto_default_values", "disable_hooks"],
        ),
        "show_status_in_body": flag(False),
        "status_detail_type": text(),
        "max_resp_body_size": whole_body(),
    },
    ["proto_id", "service", "method"],
    additionalProperties=True,
)
