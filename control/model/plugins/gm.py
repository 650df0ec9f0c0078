"""gm: certificates of the Chinese standard."""

from control.model.terms import record

NAME = "gm"
VERSION = 0.1
PRIORITY = -43
DEFAULT = False

SCHEMA = record({})
