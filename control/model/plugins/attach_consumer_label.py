"""attach-consumer-label: tell the upstream the labels of the consumer."""

from control.model.terms import record, text

NAME = "attach-consumer-label"
VERSION = 0.1
PRIORITY = 2399

SCHEMA = record(
    {"headers": {"type": "object", "additionalProperties": text(pattern=r"^\$.*"), "minProperties": 1}}, ["headers"]
)
