"""Names of endpoints, and the endpoints that they stand for. Pure: who resolves them is userspace/health."""

from collections.abc import Mapping
from dataclasses import replace
from math import lcm
from typing import Final

from control.model.upstream import MAX_WEIGHT, Endpoint, Upstream

Addresses = Mapping[str, tuple[str, ...]]
"""By name: its addresses. () for a name that was asked for in vain; a name that is absent was not answered yet."""

MAX_ADDRESSES: Final = 64
"""Of one name; the rest are left out."""
_MAX_SCALE: Final = 10_080


def is_name(host: str) -> bool:
    """True for what has to be resolved before it can be connected to. `host`: of an Endpoint."""
    return ":" not in host and host.strip("0123456789.") != ""


def names_of(upstream: Upstream) -> frozenset[str]:
    """Return the names among the hosts of its endpoints."""
    return frozenset(endpoint.host for endpoint in upstream.endpoints if is_name(endpoint.host))


def resolved(upstream: Upstream, addresses: Addresses) -> Upstream:
    """Return `upstream` with an endpoint for each address of its names. A name without addresses stays as it is.

    A name keeps its share of the requests however many addresses it has: with two of them, all other weights double.
    Two names of one address and port become one endpoint, whose weight is the sum.
    """
    found = {name: addresses[name] for name in names_of(upstream) if addresses.get(name)}
    if not found:
        return upstream
    scale = lcm(*(len(each) for each in found.values()))
    if scale > _MAX_SCALE or scale * max(endpoint.weight for endpoint in upstream.endpoints) > MAX_WEIGHT:
        scale = 0  # shares as near as whole numbers come: each address counts as much as its name
    endpoints: dict[str, Endpoint] = {}
    for endpoint in upstream.endpoints:
        for each in _expanded(endpoint, found.get(endpoint.host), scale):
            known = endpoints.get(each.address)
            weight = min(MAX_WEIGHT, each.weight + (known.weight if known is not None else 0))
            endpoints[each.address] = replace(known or each, weight=weight)
    return replace(upstream, endpoints=tuple(endpoints.values()))


def _expanded(endpoint: Endpoint, hosts: tuple[str, ...] | None, scale: int) -> list[Endpoint]:
    if hosts is None:
        return [replace(endpoint, weight=endpoint.weight * (scale or 1))]
    weight = endpoint.weight * scale // len(hosts) if scale else endpoint.weight
    return [replace(endpoint, host=host, weight=weight, domain=endpoint.host) for host in hosts]
