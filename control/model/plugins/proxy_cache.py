"""proxy-cache: keep answers."""

from control.model.parts.checks import Conf
from control.model.parts.fields import whole_body
from control.model.terms import choice, flag, integer, items, record, text

NAME = "proxy-cache"
VERSION = 0.2
PRIORITY = 1085

_VARIABLE = text(pattern=r"(^[^\$].+$|^\$[0-9a-zA-Z_]+$)")

SCHEMA = record(
    {
        "cache_zone": text(1, 100, default="disk_cache_one"),
        "cache_strategy": choice("disk", "memory", default="disk"),
        "cache_key": items(_VARIABLE, 1, default=["$host", "$request_uri"]),
        "cache_http_status": items(integer(200, 599), 1, unique=True, default=[200, 301, 404]),
        "cache_method": items(choice("GET", "POST", "HEAD"), 1, unique=True, default=["GET", "HEAD"]),
        "hide_cache_headers": flag(False),
        "cache_control": flag(False),
        "cache_bypass": items(_VARIABLE, 1),
        "no_cache": items(_VARIABLE, 1),
        "cache_ttl": integer(1, default=300),
        "cache_set_cookie": flag(False),
        "consumer_isolation": flag(True),
        "max_resp_body_size": whole_body(),
    }
)


def check(conf: Conf) -> str | None:
    if "$request_method" in conf.get("cache_key", ()):
        return "cache_key variable $request_method unsupported"
    return None
