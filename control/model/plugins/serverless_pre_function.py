"""serverless-pre-function: Lua before the other plugins."""

from control.model.parts.checks import Conf, lua_problem
from control.model.parts.fields import PHASES
from control.model.terms import choice, items, record, text

NAME = "serverless-pre-function"
VERSION = 0.1
PRIORITY = 10000

SCHEMA = record(
    {
        "phase": choice(*PHASES, default="access"),
        "functions": items(text(), 1),
    },
    ["functions"],
)


def check(conf: Conf) -> str | None:
    return lua_problem(conf["functions"])
