"""basic-auth: who asks is known by name and password."""

from control.model.parts.fields import ANONYMOUS, realm
from control.model.terms import flag, record, text

NAME = "basic-auth"
VERSION = 0.1
PRIORITY = 2520
TYPE = "auth"

SCHEMA = record(
    {"hide_credentials": flag(False), "anonymous_consumer": ANONYMOUS, "realm": realm("basic")},
    title="work with route or service object",
)
CONSUMER_SCHEMA = record(
    {"username": text(), "password": text()},
    ["username", "password"],
    encrypt=["password"],
    title="work with consumer object",
)
