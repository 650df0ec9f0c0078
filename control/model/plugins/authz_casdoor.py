"""authz-casdoor: log in with Casdoor."""

from control.model.terms import record, text

NAME = "authz-casdoor"
VERSION = 0.1
PRIORITY = 2559

_ADDRESS = text(pattern="^[^%?]+[^/]$")

SCHEMA = record(
    {"endpoint_addr": _ADDRESS, "client_id": text(), "client_secret": text(), "callback_url": _ADDRESS},
    ["callback_url", "endpoint_addr", "client_id", "client_secret"],
    encrypt=["client_secret"],
)
