"""Names of endpoints, and the endpoints that they stand for. Pure: who resolves them is userspace/health."""

from collections.abc import Mapping
from dataclasses import replace
from math import lcm
from typing import Final

from control.model.upstream import DEFAULT_PORT, DEFAULT_TLS_PORT, MAX_WEIGHT, Endpoint, Upstream
from userspace.net import join_host_port

Addresses = Mapping[str, tuple[str, ...]]
"""By name: its addresses. () for a name that was asked for in vain; a name that is absent was not answered yet. Under
SERVICE and the name of a service: its endpoints as texts, see `service_text`."""

SERVICE: Final = "dns/"
MAX_ADDRESSES: Final = 256
"""Of one name; the rest are left out."""
_MAX_SCALE: Final = 10_080


def is_name(host: str) -> bool:
    """True for what has to be resolved before it can be connected to. `host`: of an Endpoint."""
    return ":" not in host and host.strip("0123456789.") != ""


def names_of(upstream: Upstream) -> frozenset[str]:
    """Return the names among the hosts of its endpoints, or that of the service that it is discovered by."""
    if upstream.service is not None:
        return frozenset({SERVICE + upstream.service})
    return frozenset(endpoint.host for endpoint in upstream.endpoints if is_name(endpoint.host))


def resolved(upstream: Upstream, addresses: Addresses) -> Upstream:
    """Return `upstream` with an endpoint for each address of its names: none for a name that has no address, as APISIX
    does, and the name itself while it is not answered.

    A name keeps its share of the requests however many addresses it has: with two of them, all other weights double.
    Two names of one address and port become one endpoint in each priority, whose weight is the sum.
    """
    if upstream.service is not None:
        return replace(upstream, endpoints=_endpoints_of(upstream, addresses.get(SERVICE + upstream.service, ())))
    found = {name: addresses[name] for name in names_of(upstream) if name in addresses}
    if not found:
        return upstream
    scale = lcm(*(len(each) for each in found.values() if each))
    if scale > _MAX_SCALE or scale * max(endpoint.weight for endpoint in upstream.endpoints) > MAX_WEIGHT:
        scale = 0  # shares as near as whole numbers come: each address counts as much as its name
    endpoints: dict[tuple[str, int], Endpoint] = {}
    for endpoint in upstream.endpoints:
        for each in _expanded(endpoint, found.get(endpoint.host), scale):
            place = (each.address, each.priority)
            known = endpoints.get(place)
            weight = min(MAX_WEIGHT, each.weight + (known.weight if known is not None else 0))
            endpoints[place] = replace(known or each, weight=weight)
    return replace(upstream, endpoints=tuple(endpoints.values()))


def _expanded(endpoint: Endpoint, hosts: tuple[str, ...] | None, scale: int) -> list[Endpoint]:
    if hosts is None:
        return [replace(endpoint, weight=endpoint.weight * (scale or 1))]
    weight = endpoint.weight * scale // len(hosts) if scale and hosts else endpoint.weight
    return [replace(endpoint, host=host, weight=weight, domain=endpoint.host) for host in hosts]


def service_text(address: str, port: int, weight: int, priority: int) -> str:
    """One endpoint of a service. Port 0: that of the upstream's scheme."""
    return f"{join_host_port(address, port)} {weight} {priority}"


def _endpoints_of(upstream: Upstream, texts: tuple[str, ...]) -> tuple[Endpoint, ...]:
    default = DEFAULT_TLS_PORT if upstream.scheme in ("https", "grpcs") else DEFAULT_PORT
    endpoints = {}
    for text in texts:
        where, weight, priority = text.split(" ")
        host, _, port = where.rpartition(":")
        endpoint = Endpoint(host.strip("[]"), int(port) or default, int(weight), int(priority))
        endpoints[endpoint.address] = endpoint
    return tuple(endpoints.values())
