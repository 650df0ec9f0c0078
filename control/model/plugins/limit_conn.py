"""limit-conn: requests at the same time."""

from control.model.parts.redis import redis_if
from control.model.terms import choice, flag, integer, items, needs, number, one_of, record, text

NAME = "limit-conn"
VERSION = 0.1
PRIORITY = 1003

_CONN = one_of(integer(above=0), text())
_BURST = one_of(integer(0), text())

SCHEMA = record(
    {
        "conn": _CONN,
        "burst": _BURST,
        "default_conn_delay": number(above=0),
        "only_use_default_delay": flag(False),
        "key": text(),
        "key_type": choice("var", "var_combination", default="var"),
        "policy": choice("redis", "redis-cluster", "local", default="local"),
        "rejected_code": integer(200, 599, default=503),
        "rejected_msg": text(1),
        "allow_degradation": flag(False),
        "rules": items(record({"conn": _CONN, "burst": _BURST, "key": text()}, ["conn", "burst", "key"])),
    },
    encrypt=["redis_password"],
    oneOf=[needs("conn", "burst", "default_conn_delay", "key"), needs("default_conn_delay", "rules")],
    **redis_if(more={"key_ttl": integer(default=3600)}),
)
STREAM_SCHEMA = record(
    {
        "conn": integer(above=0),
        "burst": integer(0),
        "default_conn_delay": number(above=0),
        "only_use_default_delay": flag(False),
        "key": text(),
        "key_type": choice("var", "var_combination", default="var"),
    },
    ["conn", "burst", "default_conn_delay", "key"],
)
