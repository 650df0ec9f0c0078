"""The Admin API's connections: how many, and how long one may keep its place without asking for anything.

uvicorn bounds neither the time of a request head nor that of an exchange. Here a connection that says nothing loses its
place to a newcomer when all are taken, so that silent clients, however many, lock nobody out.
"""

import asyncio
import ipaddress
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 1000
# Per address; loopback is exempt: what stands in front of the API may be there.
MAX_PER_ADDRESS = 256
# Seconds: from the first byte, or from the connection, to the end of a request head; and from there to the last byte of
# the answer, which a client may be slow to take.
HEAD_TIMEOUT = 10.0
EXCHANGE_TIMEOUT = 120.0
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Connections:
    """All connections of one listener, oldest first. `refused` and `evicted` count."""

    def __init__(self) -> None:
        self.refused = 0
        self.evicted = 0
        self._open: dict[GuardedProtocol, str] = {}
        self._by_address: Counter[str] = Counter()

    def enter(self, connection: "GuardedProtocol", address: str) -> bool:
        """Take a connection, in place of the longest silent one if need be; False when there is no place for it."""
        if self._by_address[address] >= MAX_PER_ADDRESS and not is_local(address):
            self.refused += 1
            return False
        if len(self._open) >= MAX_CONNECTIONS:
            silent = next((other for other in self._open if not other.is_busy), None)
            if silent is None:
                self.refused += 1
                return False
            self.evicted += 1
            self.leave(silent)
            silent.cut()
        self._open[connection] = address
        self._by_address[address] += 1
        return True

    def leave(self, connection: "GuardedProtocol") -> None:
        """Forget a connection; one that is not there is no error."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with a place among `Connections`, and with a clock."""

    def __init__(self, connections: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._timed: object = None

    @property
    def is_busy(self) -> bool:
        """A request head is complete and its answer is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = transport.get_extra_info("peername")
        super().connection_made(transport)
        if not self._connections.enter(self, str(peer[0]) if peer else ""):
            transport.abort()
            return
        self._set_timer(None, HEAD_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_busy:
            if self._timed is not self.cycle:
                self._set_timer(self.cycle, EXCHANGE_TIMEOUT)
        elif self._timer is None:
            self._set_timer(None, HEAD_TIMEOUT)

    def on_response_complete(self) -> None:
        self._unset_timer()
        super().on_response_complete()
        # The next request may have been waiting.
        if self.is_busy and self._timer is None:
            self._set_timer(self.cycle, EXCHANGE_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_timer()
        self._connections.leave(self)
        super().connection_lost(exc)

    def cut(self) -> None:
        """End at once."""
        self._unset_timer()
        self.transport.abort()

    def _set_timer(self, timed: object, seconds: float) -> None:
        self._unset_timer()
        self._timed = timed
        self._timer = self.loop.call_later(seconds, self._late)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timed = None

    def _late(self) -> None:
        self._timer = None
        if self.is_busy:
            self.cut()
        elif not self.transport.is_closing():
            self.transport.write(_TOO_LATE)
            self.transport.close()


def is_local(address: str) -> bool:
    """True for a loopback address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
