"""What a route asks of a request besides host, path and method, as one condition."""

from functools import lru_cache

import orjson

from control.model.route import Route
from userspace.http.footprint import NOTHING, PEER, Footprint, union
from userspace.net import Networks
from userspace.routing.expr import Condition, all_of, compile_expression, footprint_of
from userspace.routing.lua import compile_function
from userspace.routing.lua_syntax import LuaError
from userspace.routing.pattern import PatternError
from userspace.routing.uri_pattern import read_uri


def condition_of(route: Route) -> Condition | None:
    """Return what else must hold, None for nothing. Cheap to ask comes first. Raises PatternError, LuaError."""
    parts: list[Condition] = []
    if route.remote_addrs:
        parts.append(_comes_from(route.remote_addrs))
    if route.vars:
        parts.append(compile_expression(route.vars))
    if route.filter_func is not None:
        parts.append(compile_function(route.filter_func))
    return all_of(parts) if parts else None


def footprint_of_conditions(route: Route) -> Footprint | None:
    """Return on what of a request `condition_of` depends; None when that can not be watched."""
    if route.filter_func is not None:
        return None
    return union(
        (
            Footprint(PEER) if route.remote_addrs else NOTHING,
            footprint_of(orjson.loads(route.vars)) if route.vars else NOTHING,
        )
    )


def check_conditions(route: Route) -> None:
    """Raise ValueError, with the field's name, when gateways cannot do what a route asks for."""
    try:
        _read_uris(route)
    except PatternError as error:
        raise ValueError(f'property "uri": {error}') from None
    try:
        condition_of(route)
    except LuaError as error:
        raise ValueError(f'property "filter_func": {error}') from None
    except PatternError as error:
        raise ValueError(f'property "vars": {error}') from None


def _read_uris(route: Route) -> None:
    for uri in route.uris:
        read_uri(uri)
        read_uri(uri, with_parameters=True)


@lru_cache(maxsize=4096)
def _comes_from(addresses: tuple[str, ...]) -> Condition:
    networks = Networks(addresses, strict=False)
    return lambda request: request.remote_addr in networks
