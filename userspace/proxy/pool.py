"""Connections to endpoints: which are idle, how many are open, and how many there may be."""

import select
from typing import TYPE_CHECKING

from control.model.upstream import Endpoint, Upstream
from userspace.obs.counters import Counters, Series
from userspace.proxy.wheel import Wheel

if TYPE_CHECKING:
    from userspace.proxy.upstream import UpstreamConnection

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLRDHUP


class Pool:
    """The connections of one worker to one endpoint of one upstream; the newest idle one first, so that others age."""

    __slots__ = (
        "address",
        "endpoint",
        "idle",
        "idle_ticks",
        "keep",
        "limit",
        "max_idle",
        "max_requests",
        "open",
        "series",
        "upstream",
    )

    def __init__(self, upstream: Upstream, endpoint: Endpoint, limit: int, max_idle: int, idle_ticks: int) -> None:
        self.address = endpoint.address
        self.idle: list[UpstreamConnection] = []
        self.open = 0  # idle, in use, and being opened
        self.limit = limit  # of `open`
        self.max_idle = max_idle
        self.series: dict[str, Series] = {}  # by route
        self.configure(upstream, endpoint, idle_ticks)

    def configure(self, upstream: Upstream, endpoint: Endpoint, idle_ticks: int) -> None:
        """Go on under a new version of the upstream; the connections stay. An idle time-out of 0 keeps none."""
        self.upstream = upstream
        self.endpoint = endpoint
        self.idle_ticks = idle_ticks
        self.keep = min(upstream.keepalive_pool.size, self.max_idle) if upstream.keepalive_pool.idle_timeout else 0
        self.max_requests = upstream.keepalive_pool.requests

    @property
    def is_full(self) -> bool:
        """True when no further connection may be opened."""
        return self.open >= self.limit

    def take(self, probe: bool) -> "UpstreamConnection | None":
        """Return an idle connection or None. With `probe`, ask the kernel whether the endpoint has closed it meanwhile:
        worth a system call before a request that cannot be sent twice."""
        while self.idle:
            connection = self.idle.pop()
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

    def forget(self, connection: "UpstreamConnection") -> None:
        """The connection, idle or not, is closing. Safe to call twice."""
        if connection.is_counted:
            connection.is_counted = False
            self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)


class Pools:
    """All pools of one worker, by (upstream id, endpoint address): a changed weight or timeout keeps connections."""

    __slots__ = ("_by_identity", "_counters", "_limit", "_max_idle", "_pools", "_wheel")

    def __init__(self, wheel: Wheel, counters: Counters, limit: int, max_idle: int) -> None:
        self._wheel = wheel
        self._counters = counters
        self._limit = limit
        self._max_idle = max_idle
        self._pools: dict[tuple[str, str], Pool] = {}
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
            pool = self._pools[key] = Pool(upstream, endpoint, self._limit, self._max_idle, idle_ticks)
        else:
            pool.configure(upstream, endpoint, idle_ticks)
        self._by_identity[id(endpoint)] = (endpoint, upstream, pool)
        return pool


def _has_news(fileno: int) -> bool:
    poller = select.poll()
    poller.register(fileno, _READABLE)
    return bool(poller.poll(0))
