"""ua-restriction: which User-Agents may pass."""

from control.model.parts.checks import Conf, first_regex_problem
from control.model.terms import flag, items, needs, record, text

NAME = "ua-restriction"
VERSION = 0.1
PRIORITY = 2999

SCHEMA = record(
    {
        "bypass_missing": flag(False),
        "allowlist": items(text(1), 1),
        "denylist": items(text(1), 1),
        "message": text(1, 1024, default="Not allowed"),
    },
    oneOf=[needs("allowlist"), needs("denylist")],
)


def check(conf: Conf) -> str | None:
    return first_regex_problem([*conf.get("allowlist", ()), *conf.get("denylist", ())])
