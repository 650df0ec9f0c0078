"""ai-cache: keep the answers of language models."""

from control.model.parts.ai import FAIL_MODE
from control.model.parts.fields import MEBIBYTE
from control.model.parts.redis import REDIS
from control.model.terms import among, choice, flag, integer, items, needs, number, record, text

NAME = "ai-cache"
VERSION = 0.1
PRIORITY = 1035

_OPENAI = {
    "endpoint": text(),
    "api_key": text(),
    "dimensions": integer(1),
    "timeout": integer(1, default=5000),
    "ssl_verify": flag(True),
}
_SEMANTIC = record(
    {
        "similarity_threshold": number(0, 1, default=0.95),
        "top_k": integer(1, default=1),
        "distance_metric": among("cosine", default="cosine"),
        "ttl": integer(1, default=86400),
        "match": record(
            {
                "message_countback": integer(1, default=1),
                "ignore_system_prompts": flag(True),
                "ignore_assistant_prompts": flag(True),
                "ignore_tool_prompts": flag(True),
            },
            default={},
        ),
        "embedding": record(
            {
                "openai": record({**_OPENAI, "model": text()}, ["model", "api_key"]),
                "azure_openai": record(_OPENAI, ["endpoint", "api_key"]),
            },
            oneOf=[needs("openai"), needs("azure_openai")],
        ),
        "vector_search": record({"redis": record({"index": text(default="ai-cache")}, default={})}, ["redis"]),
    },
    ["embedding", "vector_search"],
)
SCHEMA = record(
    {
        "layers": items(among("exact", "semantic"), 1, unique=True, contains={"const": "exact"}, default=["exact"]),
        "exact": record({"ttl": integer(1, default=3600)}, default={}),
        "semantic": _SEMANTIC,
        "cache_key": record(
            {
                "include_consumer": flag(False),
                "include_vars": items(text(), default=[]),
                "share_across_routes": flag(False),
            },
            default={},
        ),
        "bypass_on": items(record({"header": text(1), "equals": text()}, ["header", "equals"]), 1),
        "cache_headers": flag(True),
        "fail_mode": FAIL_MODE,
        "max_cache_body_size": integer(0, default=MEBIBYTE),
        "policy": choice("redis", default="redis"),
    },
    encrypt=["redis_password", "semantic.embedding.openai.api_key", "semantic.embedding.azure_openai.api_key"],
    allOf=[
        {
            "if": {"properties": {"layers": {"contains": {"const": "semantic"}}}, "required": ["layers"]},
            "then": needs("semantic"),
        }
    ],
) | {"if": {"properties": {"policy": among("redis")}}, "then": {"properties": REDIS, **needs("redis_host")}}
