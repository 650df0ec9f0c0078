"""ai: speeds up routing in APISIX."""

from control.model.terms import Schema

NAME = "ai"
VERSION = 0.1
PRIORITY = 22900
SCOPE = "global"

SCHEMA: Schema = {}
