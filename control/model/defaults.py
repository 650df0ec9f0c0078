"""An object as a gateway sees it: with what its schema says of absent fields."""

import copy
from collections.abc import Mapping
from typing import Any

from control.model.plugins import PLUGINS
from control.model.schema import Schema
from control.model.upstream import node_entries

Doc = dict[str, Any]

_UPSTREAM: Mapping[str, Any] = {"hash_on": "vars", "pass_host": "pass", "scheme": "http", "type": "roundrobin"}
_ROUTE: Mapping[str, Any] = {"priority": 0, "status": 1}


def fill(schema: Schema, value: Any) -> Any:
    """`value` with the defaults of `schema` at every depth; `value` stays as it is."""
    if isinstance(value, list):
        return [fill(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, sub in schema.get("properties", {}).items():
        if name in value:
            filled[name] = fill(sub, value[name])
        elif "default" in sub:
            filled[name] = copy.deepcopy(sub["default"])
    return filled


def as_served(kind: str, doc: Doc) -> Doc:
    """A stored object of `kind` with the defaults of its own fields, of its upstream and of its plugins."""
    if kind == "upstream":
        return _served_upstream(doc)
    served = {**_ROUTE, **doc} if kind == "route" else dict(doc)
    if isinstance(doc.get("upstream"), dict):
        served["upstream"] = _served_upstream(doc["upstream"])
    if isinstance(doc.get("plugins"), dict):
        served["plugins"] = {name: _served_plugin(name, conf) for name, conf in doc["plugins"].items()}
    return served


def _served_upstream(doc: Doc) -> Doc:
    served = {**_UPSTREAM, **doc}
    if "nodes" in doc:
        served["nodes"] = list(node_entries(doc))
    return served


def _served_plugin(name: str, conf: Any) -> Any:
    plugin = PLUGINS.get(name)
    if plugin is None or not isinstance(conf, dict):
        return conf
    return {"_meta": {}, **fill(plugin.schemas.get("route", {}), conf)}
