"""example-plugin: shows how a plugin is made."""

from control.model.terms import integer, number, record, text

NAME = "example-plugin"
VERSION = 0.1
PRIORITY = 0

SCHEMA = record(
    {"i": number(0), "s": text(), "t": {"type": "array", "minItems": 1}, "ip": text(), "port": integer()},
    ["i"],
)
METADATA_SCHEMA = record({"ikey": number(0), "skey": text()}, ["ikey", "skey"])
