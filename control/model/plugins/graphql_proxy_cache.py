"""graphql-proxy-cache: keep answers to GraphQL queries."""

from control.model.terms import choice, flag, integer, record, text

NAME = "graphql-proxy-cache"
VERSION = 0.1
PRIORITY = 1009

SCHEMA = record(
    {
        "cache_zone": text(1, 100, default="disk_cache_one"),
        "cache_strategy": choice("disk", "memory", default="disk"),
        "cache_ttl": integer(1, default=300),
        "cache_set_cookie": flag(False),
        "consumer_isolation": flag(True),
    }
)
