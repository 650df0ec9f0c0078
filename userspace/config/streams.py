"""Streams: which stream route a TCP connection takes, in APISIX's order: by server name first, then the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from control.model.keys import kind_of
from control.model.stream_route import StreamRoute
from control.model.upstream import Upstream
from userspace.config.compiled import UpstreamSlot
from userspace.config.snapshot import Snapshot
from userspace.config.sni_index import SniIndex
from userspace.http.request import Peer


class Slots(Protocol):
    """Where upstreams are found: the Router."""

    def lease(self, id: str, upstream: Upstream | None = None) -> UpstreamSlot: ...
    def release(self, id: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class CompiledStream:
    """A stream route, ready to serve. `slot`: None for one that names no upstream. `is_spliced`: where it can be."""

    route: StreamRoute
    slot: UpstreamSlot | None
    lease: str
    client: IPv4Network | IPv6Network | None
    server: IPv4Network | IPv6Network | None
    is_spliced: bool = False

    def holds(self, peer: Peer) -> bool:
        """True when the conditions but for the server name are met."""
        port = self.route.server_port
        if port is not None and port != peer.server_port:
            return False
        return _within(peer.address, self.client) and _within(peer.server_address, self.server)


class Streams:
    """The stream routes of one worker. `splice`: the policy of those that say nothing."""

    __slots__ = ("_known", "_names", "_others", "_splice")

    def __init__(self, splice: str = "off") -> None:
        self._splice = splice
        self._known: dict[str, CompiledStream] = {}
        self._names: SniIndex[CompiledStream] = SniIndex()
        self._others: list[CompiledStream] = []

    @property
    def wants_names(self) -> bool:
        """True while some route goes by the server name, so that a connection has to say it before it is routed."""
        return len(self._others) < len(self._known)

    def apply(self, new: Snapshot, keys: Iterable[str], slots: Slots) -> None:
        """Go by `new`, which differs in `keys`. Connections go on with the upstream that they began with."""
        for key in keys:
            kind, id = kind_of(key) or ("", "")
            if kind == "stream_route":
                old = self._known.pop(id, None)
                route = new.stream_routes.get(id)
                if route is not None:
                    self._known[id] = _compile(route, slots, (route.splice or self._splice) != "off")
                if old is not None:
                    if old.route.sni is not None:
                        self._names.remove([old.route.sni], id)
                    if old.slot is not None:
                        slots.release(old.lease)
                if route is not None and route.sni is not None:
                    self._names.add([route.sni], id, self._known[id])
        self._others = [self._known[id] for id in sorted(self._known) if self._known[id].route.sni is None]

    def match(self, server_name: str, peer: Peer) -> CompiledStream | None:
        """Return the route for a connection; "" is no server name."""
        return next((found for found in self._candidates(server_name) if found.holds(peer)), None)

    def _candidates(self, server_name: str) -> Iterator[CompiledStream]:
        if server_name:
            yield from self._names.all(server_name)
        yield from self._others


def _compile(route: StreamRoute, slots: Slots, is_spliced: bool) -> CompiledStream:
    lease = route.upstream_id or (route.upstream.id if route.upstream is not None else "")
    own = None if route.upstream_id else route.upstream
    slot = slots.lease(lease, own) if lease else None
    return CompiledStream(route, slot, lease, _network(route.client), _network(route.server), is_spliced)


def _network(text: str | None) -> IPv4Network | IPv6Network | None:
    return ip_network(text, strict=False) if text is not None else None


def _within(address: str, network: IPv4Network | IPv6Network | None) -> bool:
    return network is None or ip_address(address) in network
