"""csrf: writes need a token that only our own pages know."""

from control.model.terms import integer, record, text

NAME = "csrf"
VERSION = 0.1
PRIORITY = 2980

SCHEMA = record(
    {"key": text(), "expires": integer(default=7200), "name": text(default="apisix-csrf-token")},
    ["key"],
    encrypt=["key"],
)
