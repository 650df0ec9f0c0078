"""real-ip: take the client's address from the request."""

from control.model.parts.checks import Conf, address_problem
from control.model.parts.fields import ADDRESS
from control.model.terms import flag, items, record, text

NAME = "real-ip"
VERSION = 0.1
PRIORITY = 23000

SCHEMA = record(
    {"source": text(1), "trusted_addresses": items(ADDRESS, 1), "recursive": flag(False)},
    ["source"],
)


def check(conf: Conf) -> str | None:
    return address_problem(conf.get("trusted_addresses", ()))
