"""Connections to endpoints: which are idle, how many are open, and how many there may be."""

import select
import ssl
from collections.abc import Callable, Set
from typing import TYPE_CHECKING

from control.model.upstream import Endpoint, Upstream
from userspace.obs.counters import Counters, Series
from userspace.proxy.circuit import Circuit
from userspace.proxy.wheel import Wheel

if TYPE_CHECKING:
    from userspace.proxy.tls_connect import Secure
    from userspace.proxy.upstream import UpstreamConnection

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLRDHUP


class Pool:
    """The connections of one worker to one endpoint of one upstream; the newest idle one first, so that others age."""

    __slots__ = (
        "address",
        "circuit",
        "endpoint",
        "idle",
        "idle_ticks",
        "is_retired",
        "keep",
        "limit",
        "max_idle",
        "max_open",
        "max_requests",
        "open",
        "series",
        "sessions",
        "upstream",
    )

    def __init__(
        self, upstream: Upstream, endpoint: Endpoint, circuit: Circuit, limit: int, max_idle: int, idle_ticks: int
    ) -> None:
        self.address = endpoint.address
        self.idle: list[UpstreamConnection] = []
        self.open = 0  # idle, in use, and being opened
        self.circuit = circuit
        self.max_open = limit
        self.max_idle = max_idle
        self.series: dict[str, Series] = {}  # by route
        self.sessions: dict[Secure, ssl.SSLSession] = {}  # of TLS, to be resumed
        self.configure(upstream, endpoint, idle_ticks)

    def configure(self, upstream: Upstream, endpoint: Endpoint, idle_ticks: int) -> None:
        """Go on under a new version of the upstream; the connections stay. An idle time-out of 0 keeps none."""
        self.upstream = upstream
        self.endpoint = endpoint
        self.idle_ticks = idle_ticks
        self.is_retired = False
        self.limit = min(self.max_open, upstream.limits.connections or self.max_open)  # of `open`
        # A connection that says whose it is serves nobody else.
        keeps = upstream.keepalive_pool.idle_timeout and not upstream.proxy_protocol
        self.keep = min(upstream.keepalive_pool.size, self.max_idle) if keeps else 0
        self.max_requests = upstream.keepalive_pool.requests

    @property
    def is_full(self) -> bool:
        """True when no further connection may be opened."""
        return self.open >= self.limit

    def take(self, probe: bool, secure: "Secure | None" = None) -> "UpstreamConnection | None":
        """Return an idle connection that was secured with this, or None. With `probe`, ask the kernel whether the
        endpoint has closed it meanwhile: worth a system call before a request that cannot be sent twice."""
        while self.idle:
            connection = self.idle.pop()
            if connection.secure != secure:
                found = next((other for other in reversed(self.idle) if other.secure == secure), None)
                self.idle.append(connection)
                if found is None:
                    return None
                self.idle.remove(found)
                connection = found
            if not probe or not _has_news(connection.fileno):
                return connection
            connection.abort()
        return None

    def give_back(self, connection: "UpstreamConnection") -> bool:
        """Keep an idle connection; False if it is not to be kept. The longest idle one makes room."""
        if not self.keep or connection.served >= self.max_requests:
            return False
        if len(self.idle) >= self.keep:
            self.idle.pop(0).close()
        self.idle.append(connection)
        return True

    def retire(self) -> None:
        """The endpoint is none of its upstream any more: what is in use finishes, nothing is kept."""
        self.is_retired = True
        self.keep = 0
        for connection in self.idle:
            connection.close()
        self.idle.clear()

    def forget(self, connection: "UpstreamConnection") -> None:
        """The connection, idle or not, is closing. Safe to call twice."""
        if connection.is_counted:
            connection.is_counted = False
            self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)


class Pools:
    """All pools of one worker, by (upstream id, endpoint address): a changed weight or timeout keeps connections."""

    __slots__ = ("_by_identity", "_circuits", "_counters", "_limit", "_max_idle", "_pools", "_wheel")

    def __init__(self, wheel: Wheel, counters: Counters, limit: int, max_idle: int) -> None:
        self._wheel = wheel
        self._counters = counters
        self._limit = limit
        self._max_idle = max_idle
        self._pools: dict[tuple[str, str], Pool] = {}
        self._circuits: dict[str, Circuit] = {}  # by upstream id
        # Hashing an Endpoint costs more than the rest of the look-up. The id() of one that is gone may be another's
        # now, so what is found is compared.
        self._by_identity: dict[int, tuple[Endpoint, Upstream, Pool]] = {}

    def of(self, upstream: Upstream, endpoint: Endpoint) -> Pool:
        """Return the pool of this endpoint."""
        found = self._by_identity.get(id(endpoint))
        if found is not None and found[0] is endpoint and found[1] is upstream:
            return found[2]
        return self._adopt(upstream, endpoint)

    def series(self, pool: Pool, route: str) -> Series:
        """Return the metric series of this route and endpoint."""
        series = pool.series.get(route)
        if series is None:
            series = pool.series[route] = self._counters.series(route, pool.upstream.id, pool.address)
        return series

    def sweep(self) -> None:
        """Forget pools without a connection, and look-ups of replaced endpoints. Called once a minute."""
        self._by_identity.clear()
        for key in [key for key, pool in self._pools.items() if not pool.open]:
            del self._pools[key]
        for pool in self._pools.values():
            pool.series.clear()
        used = {pool.upstream.id for pool in self._pools.values()}
        for id in [id for id, circuit in self._circuits.items() if circuit.is_idle and id not in used]:
            del self._circuits[id]

    def retire(self, upstream_of: Callable[[str], Upstream | None]) -> None:
        """Retire the pools of endpoints that their upstream, by id, does not have any more. Called once a second."""
        addresses: dict[str, Set[str]] = {}
        for pool in self._pools.values():
            id = pool.upstream.id
            upstream = upstream_of(id)
            if pool.is_retired or upstream is pool.upstream:
                continue
            if id not in addresses:
                endpoints = upstream.endpoints if upstream is not None else ()
                addresses[id] = {endpoint.address for endpoint in endpoints}
            if pool.address not in addresses[id]:
                pool.retire()

    def close(self) -> None:
        """Close every idle connection."""
        for pool in self._pools.values():
            for connection in pool.idle:
                connection.close()
            pool.idle.clear()

    def counts(self) -> tuple[int, int]:
        """Return how many connections are (in use or being opened, idle)."""
        idle = sum(len(pool.idle) for pool in self._pools.values())
        return sum(pool.open for pool in self._pools.values()) - idle, idle

    def _adopt(self, upstream: Upstream, endpoint: Endpoint) -> Pool:
        key = (upstream.id, endpoint.address)
        idle_ticks = self._wheel.ticks(upstream.keepalive_pool.idle_timeout)
        pool = self._pools.get(key)
        if pool is None:
            circuit = self._circuits.get(upstream.id)
            if circuit is None:
                circuit = self._circuits[upstream.id] = Circuit(upstream)
            pool = self._pools[key] = Pool(upstream, endpoint, circuit, self._limit, self._max_idle, idle_ticks)
        else:
            pool.configure(upstream, endpoint, idle_ticks)
        pool.circuit.configure(upstream)
        self._by_identity[id(endpoint)] = (endpoint, upstream, pool)
        return pool


def _has_news(fileno: int) -> bool:
    poller = select.poll()
    poller.register(fileno, _READABLE)
    return bool(poller.poll(0))
