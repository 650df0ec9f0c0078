"""exit-transformer: Lua that changes our own answers."""

from control.model.parts.checks import Conf, lua_problem
from control.model.terms import items, record, text

NAME = "exit-transformer"
VERSION = 0.1
PRIORITY = 22950
DEFAULT = False

SCHEMA = record({"functions": items(text())}, ["functions"])


def check(conf: Conf) -> str | None:
    return lua_problem(conf["functions"])
