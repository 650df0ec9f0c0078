"""ip-restriction: which client addresses may pass."""

from control.model.parts.checks import Conf, address_problem
from control.model.parts.fields import ADDRESS
from control.model.terms import integer, items, needs, record, text

NAME = "ip-restriction"
VERSION = 0.1
PRIORITY = 3000

SCHEMA = record(
    {
        "message": text(1, 1024, default="Your IP address is not allowed"),
        "response_code": integer(403, 404, default=403),
        "whitelist": items(ADDRESS, 1),
        "blacklist": items(ADDRESS, 1),
    },
    oneOf=[needs("whitelist"), needs("blacklist")],
)
STREAM_SCHEMA = SCHEMA


def check(conf: Conf) -> str | None:
    return address_problem([*conf.get("whitelist", ()), *conf.get("blacklist", ())])
