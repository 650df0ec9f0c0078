"""Plugin metadata: settings of a plugin that hold wherever it is used. The id of the object is the plugin's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.defaults import fill
from control.model.errors import ModelError
from control.model.plugins import PLUGINS


def check_plugin_metadata(name: str, doc: Mapping[str, Any]) -> None:
    """Raise ModelError unless `doc` is metadata of the plugin `name`."""
    if name not in PLUGINS:
        raise ModelError("invalid plugin name")
    plugin = PLUGINS[name]
    conf = {field: value for field, value in doc.items() if field != "id"}
    error = plugin.problem(conf, "metadata", PLUGINS) if "metadata" in plugin.checks else None
    if error is not None:
        raise ModelError(f"invalid configuration: {error}")


@dataclass(frozen=True, slots=True)
class PluginMetadata:
    """`settings`: with the defaults of the plugin's schema."""

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read the stored metadata of the plugin `id`. Raises ModelError."""
        if not isinstance(doc, dict):
            raise ModelError("invalid configuration: wrong type: expected object")
        name = id or str(doc.get("id", ""))
        check_plugin_metadata(name, doc)
        settings = {field: value for field, value in doc.items() if field != "id"}
        return cls(name, fill(PLUGINS[name].schemas.get("metadata", {}), settings))
