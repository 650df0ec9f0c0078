"""Plugin metadata: settings of a plugin that hold wherever it is used. The id of the object is the plugin's name."""

from collections.abc import Mapping
from typing import Any

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
