"""opa: the Open Policy Agent decides."""

from control.model.parts.fields import client
from control.model.terms import flag, integer, items, record, text

NAME = "opa"
VERSION = 0.1
PRIORITY = 2001

SCHEMA = record(
    {
        "host": text(),
        "policy": text(),
        "send_headers_upstream": items(text(), 1),
        "with_route": flag(False),
        "with_service": flag(False),
        "with_consumer": flag(False),
        **client(integer(1, 60000, default=3000)),
    },
    ["host", "policy"],
)
