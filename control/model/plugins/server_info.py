"""server-info: what a gateway is."""

from control.model.terms import Schema

NAME = "server-info"
VERSION = 0.1
PRIORITY = 990
SCOPE = "global"
DEFAULT = False

SCHEMA: Schema = {"type": "object"}
