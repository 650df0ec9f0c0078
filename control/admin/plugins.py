"""`/apisix/admin/plugins`: which plugins there are, and what they take."""

from typing import Any

from starlette.requests import Request

from control.admin.reply import UNKNOWN_METHOD, Reply, error
from control.model.plugin import Kind, Plugin
from control.model.plugins import PLUGINS

SUBSYSTEMS: dict[str, Kind] = {"http": "route", "stream": "stream"}


class PluginPages:
    """`plugins/list`, `plugins/reload`, `plugins/NAME`, `plugins?all=true`."""

    async def __call__(self, request: Request, path: str) -> Reply:
        if path == "reload":
            return _reload(request.method)
        if request.method != "GET":
            return UNKNOWN_METHOD
        subsystem = request.query_params.get("subsystem", "http")
        if path == "list":
            return _list(subsystem)
        if subsystem not in SUBSYSTEMS:
            return error(400, f"unsupported subsystem: {subsystem}")
        if path:
            return plugin_schema(path, subsystem, request.query_params.get("schema_type", ""))
        if request.query_params.get("all") != "true":
            return error(404, "plugin not found in subsystem http")
        return Reply(200, described(subsystem))


def plugin_schema(name: str, subsystem: str, place: str) -> Reply:
    """The schema of one plugin; `place` "consumer" asks for that of consumers, "metadata" for that of its metadata."""
    plugin = PLUGINS.get(name)
    if plugin is None or SUBSYSTEMS[subsystem] not in plugin.schemas:
        return error(404, f"plugin not found in subsystem {subsystem}")
    kinds: dict[str, Kind] = {"consumer": "consumer", "metadata": "metadata"}
    schema = plugin.schemas.get(kinds.get(place, SUBSYSTEMS[subsystem]))
    return error(400, "not found schema") if schema is None else Reply(200, schema)


def describe(plugin: Plugin, subsystem: str) -> dict[str, Any]:
    """One plugin as `plugins?all=true` and the Control API show it."""
    shown = {
        "version": plugin.version,
        "priority": plugin.priority,
        "schema": plugin.schemas[SUBSYSTEMS[subsystem]],
        "metadata_schema": plugin.schemas.get("metadata"),
        "consumer_schema": plugin.schemas.get("consumer"),
        "type": plugin.type,
        "scope": plugin.scope,
    }
    return {name: value for name, value in shown.items() if value not in (None, "")}


def described(subsystem: str) -> dict[str, Any]:
    """All plugins of a subsystem, described."""
    return {plugin.name: describe(plugin, subsystem) for plugin in _by_priority(subsystem)}


def _by_priority(subsystem: str) -> list[Plugin]:
    there = [plugin for plugin in PLUGINS.values() if SUBSYSTEMS[subsystem] in plugin.schemas]
    return sorted(there, key=lambda plugin: (-plugin.priority, plugin.name))


def _list(subsystem: str) -> Reply:
    if subsystem not in SUBSYSTEMS:
        return Reply(400, "invalid subsystem passed")
    return Reply(200, [plugin.name for plugin in _by_priority(subsystem) if plugin.is_default])


def _reload(method: str) -> Reply:
    # Plugins are part of the program: there is nothing to load again.
    if method == "PUT":
        return Reply(200, "done")
    return error(405, f"please use PUT method to reload the plugins, {method} method is not allowed.")
