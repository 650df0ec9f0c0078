"""What a route asks of a request besides host, path and method, as one condition."""

from functools import lru_cache

from control.model.route import Route
from userspace.net import Networks
from userspace.routing.expr import Condition, all_of, compile_expression
from userspace.routing.uri_pattern import read_uri


def condition_of(route: Route) -> Condition | None:
    """Return what else must hold, None for nothing. Cheap to ask comes first. Raises PatternError."""
    parts: list[Condition] = []
    if route.remote_addrs:
        parts.append(_comes_from(route.remote_addrs))
    if route.vars:
        parts.append(compile_expression(route.vars))
    return all_of(parts) if parts else None


def check_conditions(route: Route) -> None:
    """Raise PatternError, with the field's name, when gateways cannot do what a route asks for."""
    for field, compile_it in (("uri", _read_uris), ("vars", condition_of)):
        try:
            compile_it(route)
        except ValueError as error:
            raise type(error)(f'property "{field}": {error}') from None


def _read_uris(route: Route) -> None:
    for uri in route.uris:
        read_uri(uri)
        read_uri(uri, with_parameters=True)


@lru_cache(maxsize=4096)
def _comes_from(addresses: tuple[str, ...]) -> Condition:
    networks = Networks(addresses, strict=False)
    return lambda request: request.remote_addr in networks
