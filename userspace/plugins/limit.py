"""What the plugins that limit share: by which key a request is counted, against what, and who counts together."""

from collections.abc import Mapping
from hashlib import blake2b
from math import isfinite
from typing import Any, Final

import orjson

from userspace.http.request import Request
from userspace.plugins.outcome import Reply
from userspace.plugins.page import page
from userspace.plugins.template import Template
from userspace.routing.expr import to_number

_WHERE: Final = ("redis_", "sentinel_")


def scope(conf: Mapping[str, Any]) -> str:
    """Return what the counts of one configuration stand under: the object that it is part of, and what it says. So they
    outlive other changes of the object, and two routes of a service count together, as in APISIX. How a Redis server is
    reached says nothing of what is counted: gateways that reach it in other ways count together."""
    meta = conf.get("_meta") or {}
    said = {name: value for name, value in conf.items() if name != "_meta" and not name.startswith(_WHERE)}
    digest = blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    return f"{meta.get('parent', '')}:{digest}"


class Key:
    """`key` and `key_type` of a configuration: by what requests are counted. The client's address where a request has
    none of it."""

    __slots__ = ("_key", "_kind", "_template")

    def __init__(self, key: str, kind: str) -> None:
        self._key = key
        self._kind = kind
        self._template = Template(key)

    def of(self, request: Request) -> str:
        found = self.found(request)
        return request.remote_addr if found is None else found

    def found(self, request: Request) -> str | None:
        """The key, or None where no variable of it has a value."""
        if self._kind == "constant":
            return self._key
        if self._kind == "var_combination":
            text, count = self._template.filled(request)
            return text if count else None
        return request.var(self._key) or None


class Amount:
    """A number of a configuration, or text with variables that make one."""

    __slots__ = ("_number", "_template")

    def __init__(self, value: float | str) -> None:
        self._number = value if isinstance(value, int | float) else None
        self._template = Template(value) if isinstance(value, str) else None

    def of(self, request: Request) -> float | None:
        """The number; None where the variables make none."""
        if self._template is None:
            return self._number
        number = to_number(self._template.fill(request))
        if number is None or not isfinite(number):
            return None
        return int(number) if number == int(number) else number


def refusal(conf: Mapping[str, Any]) -> Reply:
    """Return what a request beyond the limit is answered."""
    code = int(conf.get("rejected_code", 503))
    if "rejected_msg" in conf:
        return Reply.json(code, {"error_msg": conf["rejected_msg"]})
    return page(code)
