"""public-api: show an API of a plugin under a route."""

from control.model.terms import record, text

NAME = "public-api"
VERSION = 0.1
PRIORITY = 501

SCHEMA = record({"uri": text()})
