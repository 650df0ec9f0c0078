"""What is to be checked of an upstream: its endpoints as targets of probes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from control.model.health import Checks
from control.model.upstream import Endpoint, Upstream
from userspace.config.names import is_name

Key = tuple[str, str, int]
"""Upstream id, address, port: what keeps its state when all else about a target changes."""

MAX_TARGETS: Final = 20_000
"""Of one node; the endpoints beyond count as healthy."""


@dataclass(frozen=True, slots=True)
class Target:
    """`port` is the probed one. `hostname`: what the Control API calls it. `server`: whom probes ask for, Host and SNI.
    `endpoints`: `address:port` of those whose state this is, more than one when `checks.active.port` is set."""

    upstream: str
    host: str
    port: int
    hostname: str
    server: str
    endpoints: tuple[str, ...]
    checks: Checks

    @property
    def key(self) -> Key:
        """Its identity."""
        return (self.upstream, self.host, self.port)


def targets_of(upstream: Upstream) -> Mapping[Key, Target]:
    """Return what of an upstream is checked: nothing without `checks`; names only once they are addresses."""
    checks = upstream.checks
    if checks is None:
        return {}
    grouped: dict[tuple[str, int], list[Endpoint]] = {}
    for endpoint in upstream.endpoints:
        if not is_name(endpoint.host):
            grouped.setdefault((endpoint.host, checks.active.port or endpoint.port), []).append(endpoint)
    found = {}
    for (host, port), endpoints in grouped.items():
        hostname = checks.active.host or host
        server = _server(upstream, endpoints[0]) or hostname
        addresses = tuple(endpoint.address for endpoint in endpoints)
        target = Target(upstream.id, host, port, hostname, server, addresses, checks)
        found[target.key] = target
    return found


def _server(upstream: Upstream, endpoint: Endpoint) -> str | None:
    """What outranks `checks.active.host`, as in APISIX."""
    if upstream.pass_host == "rewrite":
        return upstream.upstream_host
    return endpoint.domain if upstream.pass_host == "node" else None
