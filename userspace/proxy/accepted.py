"""An accepted connection before it has said a word: whose it is, and whether it may stay."""

import asyncio
from typing import TYPE_CHECKING, cast

from userspace.http.request import Peer
from userspace.proxy.replies import reply
from userspace.proxy.wheel import Timed

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared

_NOBODY = Peer("", b"", 0, "", 0, None)


class Accepted(Timed, asyncio.Protocol):
    """`is_lingering` when only the end of the connection is awaited. One that is turned away is answered 503."""

    __slots__ = ("is_entered", "is_lingering", "peer", "shared", "transport")

    def __init__(self, shared: "Shared") -> None:
        super().__init__()
        self.shared = shared
        self.peer = _NOBODY
        self.transport: asyncio.Transport | None = None
        self.is_entered = False  # counted among its client's
        self.is_lingering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.take(transport) and self.enter():
            self.begin()

    def take(self, transport: asyncio.BaseTransport) -> bool:
        """Note who is there; False, and turned away, when all are too many."""
        shared = self.shared
        self.transport = cast(asyncio.Transport, transport)
        self.peer = shared.peer_of(transport)
        shared.counters.totals["accepted"] += 1
        if shared.has_room:
            return True
        self._turn_away("refused")
        return False

    def enter(self) -> bool:
        """Count the connection among its client's; False, and turned away, when that has too many."""
        self.is_entered = self.shared.clients.enter(self.peer.address)
        if not self.is_entered:
            self._turn_away("refused_client")
        return self.is_entered

    def begin(self) -> None:
        """Wait for what the client has to say."""
        raise AssertionError(f"{type(self).__name__} has no begin()")

    def abort(self) -> None:
        """Close now, whatever is unsent."""
        if self.transport is not None:
            self.transport.abort()

    def leave(self) -> None:
        """The connection has ended."""
        if self.is_entered:
            self.is_entered = False
            self.shared.clients.leave(self.peer.address)

    def _turn_away(self, total: str) -> None:
        self.shared.counters.totals[total] += 1
        self.is_lingering = True
        if self.transport is not None:
            self.transport.write(reply(503, "503 Service Unavailable", False, False, self.shared.dates.line))
            self.transport.close()
