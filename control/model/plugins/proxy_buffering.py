"""proxy-buffering: read responses as they come."""

from control.model.terms import flag, record

NAME = "proxy-buffering"
VERSION = 0.1
PRIORITY = 21991

SCHEMA = record({"disable_proxy_buffering": flag(False)})
