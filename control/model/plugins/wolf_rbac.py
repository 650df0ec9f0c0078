"""wolf-rbac: roles from a wolf server."""

from control.model.terms import flag, record, text

NAME = "wolf-rbac"
VERSION = 0.1
PRIORITY = 2555
TYPE = "auth"

SCHEMA = record(
    {
        "appid": text(default="unset"),
        "server": text(default="http://127.0.0.1:12180"),
        "header_prefix": text(default="X-"),
        "ssl_verify": flag(),
    }
)
