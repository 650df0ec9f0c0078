"""log-rotate: rotate log files."""

from control.model.terms import record

NAME = "log-rotate"
VERSION = 0.1
PRIORITY = 100
SCOPE = "global"
DEFAULT = False

SCHEMA = record({})
