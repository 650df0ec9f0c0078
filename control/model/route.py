"""Route: which requests (host, path, method) go to which upstream, and with which plugins."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Self

from control.model import upstream
from control.model.errors import ModelError
from control.model.expr import check_expression
from control.model.fields import (
    COMMON,
    HOST,
    ID,
    IP,
    MAX_INTEGER,
    METHODS,
    PLUGINS,
    SCRIPT,
    TIMEOUT,
    optional_id,
    text_of_id,
)
from control.model.lua import check_function, check_script
from control.model.plugins import check_plugins, is_disabled
from control.model.schema import check_configuration, on_demand
from control.model.splice import SPLICE
from control.model.sticky import Sticky
from control.model.upstream import Timeout, Upstream

URI = {"type": "string", "minLength": 1, "maxLength": 4096}


def _one_or_many(one: str, many: str) -> dict[str, Any]:
    """Either field, or neither, never both."""
    return {
        "oneOf": [
            {"not": {"anyOf": [{"required": [one]}, {"required": [many]}]}},
            {"required": [one]},
            {"required": [many]},
        ]
    }


SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "uri": URI,
        "uris": {"type": "array", "items": URI, "minItems": 1, "uniqueItems": True},
        "host": HOST,
        "hosts": {"type": "array", "items": HOST, "minItems": 1, "uniqueItems": True},
        "methods": {"type": "array", "items": {"type": "string", "enum": METHODS}, "uniqueItems": True},
        "priority": {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        "status": {"type": "integer", "enum": [1, 0]},
        "timeout": TIMEOUT,
        "plugins": PLUGINS,
        "upstream": upstream.SCHEMA,
        "upstream_id": ID,
        "service_id": ID,
        "plugin_config_id": ID,
        "script_id": ID,
        "script": SCRIPT,
        "filter_func": {"type": "string", "minLength": 10, "pattern": "^function"},
        "vars": {"type": "array"},
        "remote_addr": IP,
        "remote_addrs": {"type": "array", "items": IP, "minItems": 1, "uniqueItems": True},
        "enable_websocket": {"type": "boolean"},
        "splice": SPLICE,
    },
    "allOf": [
        {"oneOf": [{"required": ["uri"]}, {"required": ["uris"]}]},
        _one_or_many("host", "hosts"),
        _one_or_many("remote_addr", "remote_addrs"),
    ],
    "anyOf": [
        {"required": [what, where]}
        for where in ("uri", "uris")
        for what in ("plugins", "upstream", "upstream_id", "service_id", "script")
    ],
    "not": {"anyOf": [{"required": ["script", "plugins"]}, {"required": ["script", "plugin_config_id"]}]},
    "additionalProperties": False,
}
_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class Route:
    """`uris`: exact, or with `*`, at the end for a prefix. `hosts`: lower-case, exact or starting with `*`; () for any.
    `methods`: None for any. `priority`: higher first among equal paths. `timeout`: None for the upstream's.
    At most one of `upstream_id` and `upstream` is set; with neither, and none from the service, requests get 503.
    `plugins`: name -> configuration, disabled ones too; `sticky` is read from them. `enable_websocket`: None for the
    service's word; so `splice`, one of POLICIES. `remote_addrs`: networks, () for any. `vars`: a well-formed expression
    (expr.py) as JSON, "" for none: parsed, a hundred thousand of them would fill the memory. `filter_func`: a Lua
    function of variables."""

    id: str
    uris: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    methods: frozenset[str] | None = None
    priority: int = 0
    enabled: bool = True
    upstream_id: str | None = None
    upstream: Upstream | None = None
    sticky: Sticky | None = None
    timeout: Timeout | None = None
    name: str = ""
    service_id: str | None = None
    plugin_config_id: str | None = None
    plugins: Mapping[str, Any] = field(default_factory=dict)
    enable_websocket: bool | None = None
    remote_addrs: tuple[str, ...] = ()
    vars: str = ""
    filter_func: str | None = None
    splice: str | None = None

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored route; `id` stands in where the object has none. Raises ModelError.

        When both `upstream_id` and `upstream` are there, the former wins, as in APISIX; both are checked.
        """
        _check_one_of(doc)
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        plugins = doc.get("plugins", {})
        check_plugins(plugins)
        _check_conditions(doc)
        route_id = text_of_id(doc["id"]) if id is None and "id" in doc else id or ""
        # No id of an upstream contains a slash, so this name cannot be another upstream's.
        inline = Upstream.from_json(doc["upstream"], f"routes/{route_id}") if "upstream" in doc else None
        upstream_id = optional_id(doc, "upstream_id")
        return cls(
            id=route_id,
            uris=tuple(_one_of(doc, "uri", "uris")),
            hosts=tuple(dict.fromkeys(host.lower() for host in _one_of(doc, "host", "hosts"))),
            methods=frozenset(doc["methods"]) if doc.get("methods") else None,
            priority=int(doc.get("priority", 0)),
            enabled=doc.get("status", 1) == 1,
            upstream_id=upstream_id,
            upstream=inline if upstream_id is None else None,
            sticky=sticky_of(plugins),
            timeout=Timeout.from_json(doc["timeout"]) if "timeout" in doc else None,
            name=doc.get("name", ""),
            service_id=optional_id(doc, "service_id"),
            plugin_config_id=optional_id(doc, "plugin_config_id"),
            plugins=plugins,
            enable_websocket=doc.get("enable_websocket"),
            remote_addrs=tuple(_one_of(doc, "remote_addr", "remote_addrs")),
            # Not orjson: it has no integers beyond 64 bits.
            vars=intern(json.dumps(doc["vars"], separators=(",", ":"))) if doc.get("vars") else "",
            filter_func=doc.get("filter_func"),
            splice=doc.get("splice"),
        )


def _one_of(doc: Mapping[str, Any], one: str, many: str) -> list[str]:
    return [doc[one]] if one in doc else doc.get(many, [])


def _check_one_of(doc: object) -> None:
    for one, many in (("host", "hosts"), ("remote_addr", "remote_addrs")):
        if isinstance(doc, dict) and one in doc and many in doc:
            raise ModelError(f"only one of {one} or {many} is allowed")


def _check_conditions(doc: Mapping[str, Any]) -> None:
    error = check_expression(doc["vars"]) if "vars" in doc else None
    if error is not None:
        raise ModelError(f"failed to validate the 'vars' expression: {error}")
    if "filter_func" in doc:
        check_function(doc["filter_func"])
    if "script" in doc:
        check_script(doc["script"])


def sticky_of(plugins: Mapping[str, Any]) -> Sticky | None:
    """The session persistence that `plugins` ask for. Raises ModelError."""
    conf = plugins.get("sticky")
    return None if conf is None or is_disabled(conf) else Sticky.from_json(conf)
