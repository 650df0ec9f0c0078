"""Service: what many routes have in common: an upstream, plugins, hosts. A route's own outranks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from control.model import upstream
from control.model.fields import COMMON, HOST, ID, PLUGINS, SCRIPT, optional_id, text_of_id
from control.model.lua import check_script
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, on_demand
from control.model.splice import SPLICE
from control.model.upstream import Upstream

SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "plugins": PLUGINS,
        "upstream": upstream.SCHEMA,
        "upstream_id": ID,
        "script": SCRIPT,
        "enable_websocket": {"type": "boolean"},
        "splice": SPLICE,
        "hosts": {"type": "array", "items": HOST, "minItems": 1, "uniqueItems": True},
    },
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class Service:
    """At most one of `upstream_id` and `upstream` is set. `hosts`: lower-case, for routes without any; () for any."""

    id: str
    upstream_id: str | None = None
    upstream: Upstream | None = None
    hosts: tuple[str, ...] = ()
    plugins: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    enable_websocket: bool | None = None
    splice: str | None = None

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored service; `id` stands in where the object has none. Raises ModelError."""
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        service_id = text_of_id(doc["id"]) if id is None and "id" in doc else id or ""
        inline = Upstream.from_json(doc["upstream"], f"services/{service_id}") if "upstream" in doc else None
        check_plugins(doc.get("plugins", {}))
        if "script" in doc:
            check_script(doc["script"])
        upstream_id = optional_id(doc, "upstream_id")
        return cls(
            id=service_id,
            upstream_id=upstream_id,
            upstream=inline if upstream_id is None else None,
            hosts=tuple(dict.fromkeys(host.lower() for host in doc.get("hosts", ()))),
            plugins=doc.get("plugins", {}),
            name=doc.get("name", ""),
            enable_websocket=doc.get("enable_websocket"),
            splice=doc.get("splice"),
        )
