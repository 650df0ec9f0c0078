"""ai-rate-limiting: tokens in a window of time."""

from control.model.parts.checks import Conf
from control.model.parts.redis import redis_if
from control.model.plugins import limit_count
from control.model.terms import any_of, choice, flag, integer, items, needs, one_of, record, text

NAME = "ai-rate-limiting"
VERSION = 0.1
PRIORITY = 1030

_LIMIT = one_of(integer(above=0), text())
_INSTANCE_LIMIT = one_of(integer(1), text())

SCHEMA = record(
    {
        "limit": _LIMIT,
        "time_window": _LIMIT,
        "show_limit_quota_header": flag(True),
        "limit_strategy": choice(
            "total_tokens", "prompt_tokens", "completion_tokens", "expression", default="total_tokens"
        ),
        "cost_expr": text(1),
        "instances": items(
            record(
                {"name": text(), "limit": _INSTANCE_LIMIT, "time_window": _INSTANCE_LIMIT},
                ["name", "limit", "time_window"],
            ),
            1,
        ),
        "rejected_code": integer(200, 599, default=503),
        "rejected_msg": text(1),
        "rules": limit_count.FIELDS["rules"],
        "policy": choice("local", "redis", "redis-cluster", "redis-sentinel", default="local"),
        "allow_degradation": flag(False),
    },
    encrypt=["redis_password", "sentinel_password"],
    dependencies={"limit": ["time_window"], "time_window": ["limit"]},
    oneOf=[any_of(needs("limit", "time_window"), needs("instances")), needs("rules")],
    **redis_if(sentinel=True),
)


def check(conf: Conf) -> str | None:
    if conf.get("limit_strategy") == "expression" and "cost_expr" not in conf:
        return "cost_expr is required when limit_strategy is expression"
    return None
