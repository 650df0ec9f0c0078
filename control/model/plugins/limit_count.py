"""limit-count: requests in a window of time."""

from typing import Final

from control.model.parts.checks import Conf
from control.model.parts.redis import redis_if
from control.model.terms import Schema, choice, flag, integer, items, needs, number, one_of, record, text

NAME = "limit-count"
VERSION = 0.5
PRIORITY = 1002

_AT_ONCE: Final = -1
_SHORTEST: Final = 0.1  # seconds
_COUNT = one_of(integer(above=0), text())
FIELDS: Schema = {
    "count": _COUNT,
    "time_window": _COUNT,
    "group": text(),
    "key": text(default="remote_addr"),
    "key_type": choice("var", "var_combination", "constant", default="var"),
    "rejected_code": integer(200, 599, default=503),
    "rejected_msg": text(1),
    "policy": choice("local", "redis", "redis-cluster", "redis-sentinel", default="local"),
    "window_type": choice("fixed", "sliding", default="fixed"),
    "sync_interval": number(default=_AT_ONCE),
    "allow_degradation": flag(False),
    "show_limit_quota_header": flag(True),
    "rules": items(
        record(
            {"count": _COUNT, "time_window": _COUNT, "key": text(), "header_prefix": text()},
            ["count", "time_window", "key"],
        )
    ),
}
SCHEMA = record(
    FIELDS,
    encrypt=["redis_password", "sentinel_password"],
    oneOf=[needs("count", "time_window"), needs("rules")],
    **redis_if(sentinel=True),
)
METADATA_SCHEMA = record(
    {
        "limit_header": text(default="X-RateLimit-Limit"),
        "remaining_header": text(default="X-RateLimit-Remaining"),
        "reset_header": text(default="X-RateLimit-Reset"),
    }
)


def check_first(conf: Conf) -> str | None:
    """Said instead of what the schema would say."""
    if "rules" in conf and ("count" in conf or "time_window" in conf):
        return "count/time_window and rules cannot be specified at the same time"
    return None


def check(conf: Conf) -> str | None:
    if "group" in conf and "rules" in conf:
        return "group and rules cannot be specified at the same time"
    keys = [rule["key"] for rule in conf.get("rules", ())]
    twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
    if twice is not None:
        return f"duplicate key '{twice}' in rules"
    interval = conf.get("sync_interval", _AT_ONCE)
    if conf.get("policy", "local") == "local" or interval == _AT_ONCE:
        return None
    if interval < _SHORTEST:
        return f"sync_interval should not be smaller than {_SHORTEST}"
    window = conf.get("time_window")
    if isinstance(window, int) and interval > window:
        return "sync_interval should be smaller than time_window"
    return None
