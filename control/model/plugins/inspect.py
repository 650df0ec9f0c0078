"""inspect: breakpoints in Lua."""

from control.model.terms import record

NAME = "inspect"
VERSION = 0.1
PRIORITY = 200

SCHEMA = record({})
