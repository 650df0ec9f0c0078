"""uri-blocker: refuse what matches a rule."""

from control.model.parts.checks import Conf, first_regex_problem
from control.model.parts.fields import STATUS
from control.model.terms import flag, items, record, text

NAME = "uri-blocker"
VERSION = 0.1
PRIORITY = 2900

SCHEMA = record(
    {
        "block_rules": items(text(1, 4096), unique=True),
        "rejected_code": STATUS,
        "rejected_msg": text(1),
        "case_insensitive": flag(False),
    },
    ["block_rules"],
)


def check(conf: Conf) -> str | None:
    return first_regex_problem(conf["block_rules"])
