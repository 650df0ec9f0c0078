"""Which endpoints of an upstream are still warming up, and what part of their weight counts. Pure."""

from collections.abc import Mapping, Set
from typing import Final

from control.model.upstream import Endpoint, Upstream

Cold = Mapping[tuple[str, int], float]
"""Since when (seconds of the worker's clock) an address and port is being warmed up; warm ones are not in it."""

WARM: Final[Cold] = {}
FULL: Final[Mapping[Endpoint, float]] = {}


def cold_of(
    upstream: Upstream, down: Set[Endpoint], before: Upstream | None, was_down: Set[Endpoint], cold: Cold, now: float
) -> Cold:
    """Return who is cold now, when `cold` was before, with the endpoints of `before`, None for none.

    New endpoints are cold, and those that were down. Not the first ones of an upstream: all would be equally cold; nor
    those that a name stood for while it was not resolved.
    """
    warm_up = upstream.warm_up
    if warm_up is None:
        return WARM
    found = {}
    known = {(endpoint.host, endpoint.port) for endpoint in before.endpoints} if before is not None else set()
    back = {(endpoint.host, endpoint.port) for endpoint in was_down}
    for endpoint in upstream.endpoints:
        if endpoint in down:
            continue
        address = (endpoint.host, endpoint.port)
        is_named = endpoint.domain is not None and (endpoint.domain, endpoint.port) in known
        is_new = bool(known) and address not in known and not is_named
        since = now if is_new or address in back else cold.get(address)
        if since is not None and now - since < warm_up.seconds:
            found[address] = since
    return found or WARM


def shares_of(upstream: Upstream, cold: Cold, now: float) -> Mapping[Endpoint, float]:
    """Return what part of the weight counts, of those of which not all of it does."""
    warm_up = upstream.warm_up
    if warm_up is None or not cold:
        return FULL
    shares = {
        endpoint: warm_up.share(now - cold[endpoint.host, endpoint.port])
        for endpoint in upstream.endpoints
        if (endpoint.host, endpoint.port) in cold
    }
    return {endpoint: share for endpoint, share in shares.items() if share < 1}
