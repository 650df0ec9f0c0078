"""data-mask: keep secrets out of the logs."""

from control.model.parts.fields import MEBIBYTE
from control.model.terms import choice, integer, items, needs, record, text

NAME = "data-mask"
VERSION = 0.1
PRIORITY = 1500

_ENTRY = record(
    {
        "action": choice("regex", "replace", "remove"),
        "body_format": choice("json", "urlencoded"),
        "name": text(),
        "regex": text(),
        "type": choice("query", "header", "body"),
        "value": text(),
    },
    ["action", "name", "type"],
    allOf=[
        {"if": {"properties": {"type": {"const": "body"}}}, "then": needs("body_format")},
        {"if": {"properties": {"action": {"const": "regex"}}}, "then": needs("regex", "value")},
        {"if": {"properties": {"action": {"const": "replace"}}}, "then": needs("value")},
    ],
)
SCHEMA = record(
    {
        "request": items(_ENTRY),
        "max_body_size": integer(above=0, default=MEBIBYTE),
        "max_req_post_args": integer(0, default=100),
    }
)
