"""ai-proxy-multi: several language models behind a route."""

import re

from control.model import health
from control.model.parts.ai import AUTH, AUTH_SECRETS, CALLS, OPTIONS, OVERRIDE, PROVIDER, PROVIDER_CONF
from control.model.parts.checks import Conf, is_reference
from control.model.terms import Schema, any_of, choice, flag, integer, items, number, record, text

NAME = "ai-proxy-multi"
VERSION = 0.5
PRIORITY = 1041

_ENDPOINT = re.compile(r"https?://[^/:]+(:[0-9]+)?(/|\Z)")
_STRATEGIES = ("instance_health_and_rate_limiting", "http_429", "http_5xx")
_HASH_ON = ("vars", "header", "cookie", "consumer", "vars_combinations")

_INSTANCE = record(
    {
        "name": text(1, 100),
        "provider": PROVIDER,
        "provider_conf": PROVIDER_CONF,
        "priority": integer(default=0),
        "weight": integer(0),
        "auth": AUTH,
        "options": OPTIONS,
        "override": OVERRIDE,
        "checks": record({"active": health.ACTIVE}, ["active"]),
        "examples": items(text(1), 1, 64),
        "threshold": number(-1, 1),
    },
    ["name", "provider", "auth", "weight"],
)
_KEYS: Schema = {"type": "object", "additionalProperties": text()}
_EMBEDDINGS = record(
    {
        "provider": choice("openai", "azure-openai"),
        "model": text(1),
        "endpoint": text(),
        "auth": record({"header": _KEYS, "query": _KEYS}, closed=True),
        "timeout": integer(1, default=3000),
        "ssl_verify": flag(True),
    },
    ["provider", "model", "auth"],
)
SCHEMA = record(
    {
        "balancer": record(
            {
                "algorithm": choice("chash", "roundrobin", "semantic"),
                "hash_on": choice(*_HASH_ON, default="vars"),
                "key": text(),
            },
            default={"algorithm": "roundrobin"},
        ),
        "instances": items(_INSTANCE, 1),
        "fallback_strategy": any_of(choice(*_STRATEGIES), items(choice("rate_limiting", "http_429", "http_5xx"))),
        "fallback_http_statuses": items(integer(400, 599), 1, unique=True),
        "max_retries": integer(0),
        "retry_on_failure_within_ms": integer(1),
        "semantic_opts": record(
            {
                "embeddings": _EMBEDDINGS,
                "threshold": number(-1, 1, default=0),
                "fallback": text(1),
                "debugging": flag(False),
            },
            ["embeddings"],
        ),
        **CALLS,
    },
    ["instances"],
    encrypt=[
        *(f"instances.auth.{name}" for name in AUTH_SECRETS),
        "semantic_opts.embeddings.auth.header",
        "semantic_opts.embeddings.auth.query",
    ],
)


def check(conf: Conf) -> str | None:
    names = [instance["name"] for instance in conf["instances"]]
    for index, name in enumerate(names, 1):
        first = names.index(name) + 1
        if first != index:
            return f"duplicate instance name '{name}' at instances[{first}] and instances[{index}]"
    for instance in conf["instances"]:
        endpoint = instance.get("override", {}).get("endpoint")
        if endpoint is not None and not is_reference(endpoint) and not _ENDPOINT.match(endpoint):
            return "invalid endpoint"
    return None
