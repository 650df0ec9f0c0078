"""node-status: what a gateway is doing."""

from control.model.terms import Schema

NAME = "node-status"
VERSION = 0.1
PRIORITY = 1000
SCOPE = "global"
DEFAULT = False

SCHEMA: Schema = {"type": "object"}
