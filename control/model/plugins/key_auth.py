"""key-auth: who asks is known by a key."""

from control.model.parts.fields import ANONYMOUS, realm
from control.model.terms import flag, record, text

NAME = "key-auth"
VERSION = 0.1
PRIORITY = 2500
TYPE = "auth"

SCHEMA = record(
    {
        "header": text(default="apikey"),
        "query": text(default="apikey"),
        "hide_credentials": flag(False),
        "anonymous_consumer": ANONYMOUS,
        "realm": realm("key"),
    }
)
CONSUMER_SCHEMA = record({"key": text()}, ["key"], encrypt=["key"])
