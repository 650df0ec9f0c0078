"""graphql-limit-count: cost of GraphQL queries in a window of time."""

from control.model.parts.fields import HEADER_NAME
from control.model.parts.redis import redis_if
from control.model.plugins import limit_count
from control.model.terms import choice, flag, mapping, needs, number, record, text

NAME = "graphql-limit-count"
VERSION = 0.1
PRIORITY = 1004

SCHEMA = record(
    {
        **limit_count.FIELDS,
        "cost_strategy": choice("depth", "complexity", "node_quantifier", default="depth"),
        "max_cost": number(0, default=0),
        "score_factor": number(above=0, default=1),
        "resolve_variables": flag(True),
        "introspection_endpoint": text(pattern="^https?://"),
        "introspection_headers": mapping(text(), HEADER_NAME),
    },
    encrypt=["redis_password", "sentinel_password", "introspection_headers"],
    oneOf=[needs("count", "time_window"), needs("rules")],
    **redis_if(sentinel=True),
)
METADATA_SCHEMA = limit_count.METADATA_SCHEMA
check_first = limit_count.check_first
check = limit_count.check
