"""echo: answer with text of one's own."""

from control.model.terms import needs, record, text

NAME = "echo"
VERSION = 0.1
PRIORITY = 412

SCHEMA = record(
    {"before_body": text(), "body": text(), "after_body": text(), "headers": {"type": "object", "minProperties": 1}},
    anyOf=[needs("before_body"), needs("body"), needs("after_body")],
    minProperties=1,
)
