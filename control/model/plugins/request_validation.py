"""request-validation: requests must match a schema."""

from control.model.parts.fields import whole_body
from control.model.terms import integer, needs, record, text

NAME = "request-validation"
VERSION = 0.1
PRIORITY = 2800
TYPE = "validation"

SCHEMA = record(
    {
        "header_schema": {"type": "object"},
        "body_schema": {"type": "object"},
        "rejected_code": integer(200, 599, default=400),
        "rejected_msg": text(1, 256),
        "max_req_body_size": whole_body(),
    },
    anyOf=[needs("header_schema"), needs("body_schema")],
)
