"""A route as it is served: with the plugins of its plugin config, and with what its service adds. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from control.model.plugin_config import PluginConfig
from control.model.route import Route, sticky_of
from control.model.service import Service

# Instead of an upstream's id: what a route is answered with whose parts are missing. No id contains a slash.
NO_UPSTREAM: Final = ""
NO_SERVICE: Final = "/404"
NO_PLUGIN_CONFIG: Final = "/503"
NOT_SERVED: Final = "/503/not-served"
REFUSALS: Final[Mapping[str, int]] = {NO_UPSTREAM: 503, NO_SERVICE: 404, NO_PLUGIN_CONFIG: 503, NOT_SERVED: 503}


def refused(route: Route) -> Route:
    """Return a route that matches as `route` does, service hosts included, and answers 503 to what it matches."""
    return replace(route, plugins={}, sticky=None, plugin_config_id=None, upstream=None, upstream_id=NOT_SERVED)


def merge(route: Route, services: Mapping[str, Service], plugin_configs: Mapping[str, PluginConfig]) -> Route:
    """Return `route` with everything that it takes from others. Of a plugin that several have, the whole configuration
    of one counts: the route's, else the plugin config's, else the service's.

    A route whose service or plugin config is not there matches all the same; its `upstream_id` is then NO_SERVICE or
    NO_PLUGIN_CONFIG.
    """
    if route.plugin_config_id is not None:
        config = plugin_configs.get(route.plugin_config_id)
        if config is None:
            return replace(route, upstream=None, upstream_id=NO_PLUGIN_CONFIG, sticky=None)
        route = replace(route, plugins={**config.plugins, **route.plugins})
    if route.service_id is not None:
        service = services.get(route.service_id)
        if service is None:
            return replace(route, upstream=None, upstream_id=NO_SERVICE, sticky=None)
        route = _with_service(route, service)
    if route.plugin_config_id is not None or route.service_id is not None:
        route = replace(route, sticky=sticky_of(route.plugins))
    return route


def slot_id(route: Route) -> str:
    """The upstream of a merged route, or one of REFUSALS."""
    if route.upstream is not None:
        return route.upstream.id
    return route.upstream_id if route.upstream_id is not None else NO_UPSTREAM


def _with_service(route: Route, service: Service) -> Route:
    is_own = route.upstream is not None or route.upstream_id is not None
    return replace(
        route,
        plugins={**service.plugins, **route.plugins},
        hosts=route.hosts or service.hosts,
        upstream=route.upstream if is_own else service.upstream,
        upstream_id=route.upstream_id if is_own else service.upstream_id,
        enable_websocket=service.enable_websocket if route.enable_websocket is None else route.enable_websocket,
        splice=route.splice or service.splice,
    )
