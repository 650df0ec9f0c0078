"""mocking: answer with an example."""

from control.model.parts.fields import HEADERS
from control.model.terms import flag, integer, needs, record, text

NAME = "mocking"
VERSION = 0.1
PRIORITY = 10900

SCHEMA = record(
    {
        "delay": integer(default=0),
        "response_status": integer(100, default=200),
        "content_type": text(default="application/json;charset=utf8"),
        "response_example": text(),
        "response_schema": {"type": "object"},
        "with_mock_header": flag(True),
        "response_headers": HEADERS,
    },
    anyOf=[needs("response_example"), needs("response_schema")],
)
