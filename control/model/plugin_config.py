"""Plugin config: plugins that routes share by its id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.fields import COMMON, PLUGINS, text_of_id
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, on_demand

SCHEMA = {
    "type": "object",
    "properties": {**COMMON, "plugins": PLUGINS},
    "required": ["id", "plugins"],
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """`plugins`: name -> configuration, for those plugins that the route itself does not have."""

    id: str
    plugins: Mapping[str, Any]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored plugin config; `id` stands in where the object has none. Raises ModelError."""
        if id is not None and isinstance(doc, dict):
            doc = {"id": id, **doc}
        check_configuration(_check, doc)
        assert isinstance(doc, dict)
        check_plugins(doc["plugins"])
        return cls(text_of_id(doc["id"]), doc["plugins"])
