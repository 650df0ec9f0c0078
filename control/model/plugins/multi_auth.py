"""multi-auth: any of several ways to know who asks."""

from control.model.parts.checks import Conf
from control.model.plugin import Plugins
from control.model.terms import record

NAME = "multi-auth"
VERSION = 0.1
PRIORITY = 2600
TYPE = "auth"

SCHEMA = record(
    {"auth_plugins": {"type": "array", "minItems": 2}}, ["auth_plugins"], title="work with route or service object"
)


def check_with(conf: Conf, plugins: Plugins) -> str | None:
    """As `check`, with the other plugins at hand."""
    for entry in conf["auth_plugins"]:
        for name, inner in entry.items() if isinstance(entry, dict) else ():
            if name not in plugins or plugins[name].type != "auth":
                return f"{name} plugin is not supported"
            error = plugins[name].problem(inner, "route", plugins)
            if error is not None:
                return f"plugin {name} check schema failed: {error}"
    return None
