"""What gateways serve of all that the Admin API takes. An object that asks for more is rejected by name, whole.

Serving a route without one of its conditions or plugins would open what was meant to be closed. To serve something new:
take it out of a table here, and read it where it is compiled.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from control.model.balancing import TYPES
from control.model.plugins import PLUGINS as KNOWN
from control.model.plugins import is_disabled
from control.model.route import Route
from control.model.ssl import Ssl
from userspace.config.conditions import check_conditions
from userspace.plugins.registry import FILTERS
from userspace.routing.pattern import Pattern, PatternError

# Fields that are not served -> the values that ask for nothing. (): the field must be absent.
_Unserved = Mapping[str, tuple[Any, ...]]

UPSTREAM: Final[_Unserved] = {
    "type": TYPES,
    "scheme": ("http", "https", "tcp", "tls"),
    "discovery_type": ("dns",),
    "discovery_args": ({},),
}
ROUTE: Final[_Unserved] = {
    "script": (),
    "script_id": (),
}
SERVICE: Final[_Unserved] = {"script": ()}
STREAM_ROUTE: Final[_Unserved] = {"protocol": (), "service_id": (), "plugins": ({},)}
FIELDS: Final[Mapping[str, _Unserved]] = {
    "upstream": UPSTREAM, "route": ROUTE, "service": SERVICE, "stream_route": STREAM_ROUTE,
}  # fmt: skip
PLUGINS: Final = frozenset({"sticky", *FILTERS})
# What `_meta` may ask of every plugin, and of those that run as filters besides.
META: Final = frozenset({"disable", "priority", "error_response"})
FILTER_META: Final = META | {"filter"}


def unserved(kind: str, document: Any, parsed: Any) -> str | None:
    """Return why a gateway can not serve an object of a kind ("route", ...), as stored and as read; or None.

    An upstream inside a route or service counts, unless an upstream_id beside it wins.
    """
    if not isinstance(document, dict):
        return None
    fields = _first(FIELDS.get(kind, {}), document)
    if fields is not None:
        return f'property "{fields}": not served by unilb'
    if isinstance(parsed, Route):
        problem = _condition(parsed)
        if problem is not None:
            return problem
    if isinstance(parsed, Ssl) and parsed.client is not None:
        problem = _patterns(parsed.client.skip_uris)
        if problem is not None:
            return f'property "client": {problem}'
    if "upstream" in document and "upstream_id" not in document:
        inside = _first(UPSTREAM, document["upstream"])
        if inside is not None:
            return f'property "upstream": property "{inside}": not served by unilb'
    upstream = parsed if kind == "upstream" else getattr(parsed, "upstream", None)
    for endpoint in upstream.endpoints if upstream is not None else ():
        # RFC 1035 section 2.3.4.
        if len(endpoint.host) > 253 or any(len(label) > 63 for label in endpoint.host.split(".")):
            return f'property "nodes": host "{endpoint.host[:64]}..." is too long for a domain name'
    plugins = document.get("plugins", {})
    if kind == "consumer":
        # What would only say how it is known opens nothing: no route that asks for it is served.
        plugins = {name: conf for name, conf in plugins.items() if name in PLUGINS or not _identifies(name)}
    return _plugin(plugins)


def matches_as_written(route: Route) -> bool:
    """True when gateways serve all conditions of a route, whatever they can not do for what it matches."""
    return _condition(route) is None


def _identifies(plugin: str) -> bool:
    return KNOWN[plugin].type == "auth"


def _patterns(sources: Iterable[str]) -> str | None:
    try:
        for source in sources:
            Pattern(source)
    except PatternError as error:
        return str(error)
    return None


def _condition(route: Route) -> str | None:
    try:
        check_conditions(route)
    except ValueError as error:
        return str(error)
    return None


def _first(unserved: _Unserved, document: Mapping[str, Any]) -> str | None:
    for field, harmless in unserved.items():
        value = document.get(field)
        if field in document and not any(value == fine and type(value) is type(fine) for fine in harmless):
            return field
    return None


def _plugin(plugins: Mapping[str, Any]) -> str | None:
    for name, conf in plugins.items():
        if is_disabled(conf):
            continue
        if name not in PLUGINS:
            return f"plugin [{name}]: not served by unilb"
        why = FILTERS[name].unserved(conf) if name in FILTERS and conf else None
        if why is not None:
            return f"plugin [{name}]: {why}"
        more = conf.get("_meta", {}).keys() - (FILTER_META if name in FILTERS else META)
        if more:
            return f'plugin [{name}]: property "_meta.{min(more)}": not served by unilb'
    return None
