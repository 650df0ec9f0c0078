"""ai-request-rewrite: a language model rewrites requests."""

from control.model.parts.ai import KEYS, OPTIONS, PROVIDER
from control.model.parts.checks import Conf
from control.model.parts.fields import whole_body
from control.model.terms import flag, integer, record, text

NAME = "ai-request-rewrite"
VERSION = 0.1
PRIORITY = 1073

SCHEMA = record(
    {
        "prompt": text(),
        "provider": PROVIDER,
        "auth": record({"header": KEYS, "query": KEYS}, closed=True),
        "options": OPTIONS,
        "override": record({"endpoint": text()}),
        "timeout": integer(1, 60000, default=30000),
        "keepalive": flag(True),
        "keepalive_pool": integer(1, default=30),
        "ssl_verify": flag(True),
        "max_req_body_size": whole_body(),
    },
    ["prompt", "provider", "auth"],
)


def check(conf: Conf) -> str | None:
    if conf["provider"] == "openai-compatible" and "endpoint" not in conf.get("override", {}):
        return "override.endpoint is required for openai-compatible provider"
    return None
