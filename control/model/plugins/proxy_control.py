"""proxy-control: read requests as they come."""

from control.model.terms import flag, record

NAME = "proxy-control"
VERSION = 0.1
PRIORITY = 21990

SCHEMA = record({"request_buffering": flag(True)})
