"""The plugins that objects may carry. One file here is one plugin: NAME, VERSION, PRIORITY and its schemas.

A plugin that has no file here is refused by name.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from control.model.errors import ModelError
from control.model.plugin import Kind, Plugin, load, meta_problem

PLUGINS: Mapping[str, Plugin] = MappingProxyType(
    {
        plugin.name: plugin
        for plugin in (
            load(importlib.import_module(f"{__name__}.{found.name}")) for found in pkgutil.iter_modules(__path__)
        )
    }
)


def check_plugins(plugins: Mapping[str, Any], kind: Kind = "route") -> None:
    """Raise ModelError for the first plugin that is unknown or has a bad configuration. A disabled one may be bad."""
    for name, conf in plugins.items():
        plugin = PLUGINS.get(name)
        if conf == [] and plugin is not None and plugin.is_default:
            # Clients in PHP and Lua write {} so.
            conf = {}
        if not isinstance(conf, dict):
            raise ModelError(f'invalid plugin conf "{conf}" for plugin [{name}]')
        if plugin is None or kind not in plugin.checks:
            raise ModelError(f"unknown plugin [{name}]")
        if is_disabled(conf):
            continue
        error = plugin.problem(conf, kind, PLUGINS)
        if error is not None:
            raise ModelError(f"failed to check the configuration of plugin {name} err: {error}")
        error = meta_problem(conf)
        if error is not None:
            raise ModelError(error)


def is_disabled(conf: Mapping[str, Any]) -> bool:
    """True when `_meta.disable` switches this plugin off."""
    meta = conf.get("_meta") if isinstance(conf, dict) else None
    return isinstance(meta, dict) and meta.get("disable") is True
