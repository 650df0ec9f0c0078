"""How often may be asked: a token bucket per address and one per key, in front of everything else."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from control.admin.auth import AdminKey, matching_key
from control.admin.connections import is_local
from control.admin.reply import error

# Addresses that are remembered. The one that asked longest ago is forgotten, and starts anew with a full bucket.
MAX_BUCKETS = 10_000
DEFAULT_RATE = 1000.0
# A bucket holds this many seconds' worth.
BURST_SECONDS = 2.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """One bucket for each name: `rate` tokens a second, at most BURST_SECONDS of them, at least one."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._size = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._size, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.tokens = min(self._size, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._rate
        bucket.tokens -= 1
        return 0.0


class RateLimit:
    """Answers 429 to an address, or to all who use one key, beyond `rate` requests a second.

    Loopback addresses are not limited: whoever is on the machine has other ways.
    """

    def __init__(self, app: ASGIApp, keys: tuple[AdminKey, ...], rate: float) -> None:
        self._app = app
        self._keys = keys
        self._addresses = Buckets(rate)
        self._by_key = Buckets(rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and not is_local(client[0]):
            wait = self._addresses.take(network_of(client[0]))
            key = None if wait else matching_key(Request(scope), self._keys)
            if key is not None:
                wait = self._by_key.take(key.name)
            if wait:
                reply = error(429, "too many requests").to_response()
                reply.headers["Retry-After"] = str(math.ceil(wait))
                await reply(scope, receive, send)
                return
        await self._app(scope, receive, send)


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 host has all of."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
