"""Plugin: what the control plane knows of one plugin, read from its module in control/model/plugins."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol

from control.model.expr import check_expression
from control.model.schema import Check, Schema, on_demand

# Where a configuration stands: on a route or what merges into one, on a consumer, on a stream route, in the metadata.
Kind = Literal["route", "consumer", "stream", "metadata"]
Conf = Mapping[str, Any]
Plugins = Mapping[str, "Plugin"]

META: Schema = {
    "type": "object",
    "properties": {
        "disable": {"type": "boolean"},
        "error_response": {"oneOf": [{"type": "string"}, {"type": "object"}]},
        "priority": {"description": "priority of plugins by customized order", "type": "integer"},
        "filter": {
            "description": "filter determines whether the plugin needs to be executed at runtime",
            "type": "array",
        },
        "pre_function": {
            "description": "function to be executed in each phase before execution of plugins."
            " The pre_function will have access to two arguments: `conf` and `ctx`.",
            "type": "string",
        },
    },
    "additionalProperties": False,
}
# Tools know by it that `_meta` is not a field of the plugin's own.
COMMENT = "this is a mark for our injected plugin schema"


class _Problem(Protocol):
    def __call__(self, conf: Conf) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """`type` is "auth" for what may identify a consumer. `schemas`: as they are served, by kind."""

    name: str
    version: float
    priority: int
    type: str
    scope: str
    run_policy: str
    is_default: bool
    schemas: Mapping[Kind, Schema]
    module: ModuleType
    checks: Mapping[Kind, Check]

    def problem(self, conf: Any, kind: Kind, plugins: Plugins) -> str | None:
        """What is wrong with a configuration that stands where `kind` says; `plugins` are all there are."""
        first: _Problem | None = getattr(self.module, "check_first", None) if kind in ("route", "stream") else None
        error = first(conf) if first and isinstance(conf, dict) else None
        error = self.checks[kind](conf) if error is None else error
        if error is not None:
            return error
        if kind == "route" and hasattr(self.module, "check_with"):
            return self.module.check_with(conf, plugins)  # type: ignore[no-any-return]
        name = "check_consumer" if kind == "consumer" and "consumer" in self.schemas else "check"
        further: _Problem | None = getattr(self.module, name, None) if kind != "metadata" else None
        return further(conf) if further else None


def load(module: ModuleType) -> Plugin:
    """Read a plugin's module."""
    names: dict[str, Kind] = {
        "SCHEMA": "route",
        "CONSUMER_SCHEMA": "consumer",
        "STREAM_SCHEMA": "stream",
        "METADATA_SCHEMA": "metadata",
    }
    own: dict[Kind, Schema] = {kind: getattr(module, name) for name, kind in names.items() if hasattr(module, name)}
    schemas = {kind: _with_meta(schema) if kind in ("route", "stream") else schema for kind, schema in own.items()}
    checks = {
        kind: on_demand(schema if kind == "metadata" else _with_meta(schema), references=True)
        for kind, schema in own.items()
    }
    if "route" in checks:
        checks.setdefault("consumer", checks["route"])
    return Plugin(
        name=module.NAME,
        version=module.VERSION,
        priority=module.PRIORITY,
        type=getattr(module, "TYPE", ""),
        scope=getattr(module, "SCOPE", ""),
        run_policy=getattr(module, "RUN_POLICY", ""),
        is_default=getattr(module, "DEFAULT", True),
        schemas=schemas,
        module=module,
        checks=checks,
    )


def meta_problem(conf: Conf) -> str | None:
    """What is wrong with the expression in `_meta.filter`, if there is one."""
    rules = conf.get("_meta", {}).get("filter")
    error = None if rules is None else check_expression(rules)
    return None if error is None else f"failed to validate the 'vars' expression: {error}"


def _with_meta(schema: Schema) -> Schema:
    return {**schema, "properties": {**schema.get("properties", {}), "_meta": META}, "$comment": COMMENT}
