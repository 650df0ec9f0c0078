"""referer-restriction: which Referers may pass."""

from control.model.parts.fields import NAMED_HOST
from control.model.terms import flag, items, needs, record, text

NAME = "referer-restriction"
VERSION = 0.1
PRIORITY = 2990

SCHEMA = record(
    {
        "bypass_missing": flag(False),
        "whitelist": items(NAMED_HOST, 1),
        "blacklist": items(NAMED_HOST, 1),
        "message": text(1, 1024, default="Your referer host is not allowed"),
    },
    oneOf=[needs("whitelist"), needs("blacklist")],
)
