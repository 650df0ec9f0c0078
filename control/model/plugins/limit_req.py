"""limit-req: requests per second, with a leaky bucket."""

from control.model.parts.redis import redis_if
from control.model.terms import choice, flag, integer, number, record, text

NAME = "limit-req"
VERSION = 0.1
PRIORITY = 1001

SCHEMA = record(
    {
        "rate": number(above=0),
        "burst": number(0),
        "key": text(),
        "key_type": choice("var", "var_combination", default="var"),
        "policy": choice("redis", "redis-cluster", "local", default="local"),
        "rejected_code": integer(200, 599, default=503),
        "rejected_msg": text(1),
        "nodelay": flag(False),
        "allow_degradation": flag(False),
    },
    ["rate", "burst", "key"],
    encrypt=["redis_password"],
    **redis_if(),
)
