"""A connection that comes back from the node: its client goes on talking, and never knew that it was away."""

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from userspace.http.request import Peer
from userspace.obs import durations
from userspace.proxy.connection import ClientConnection

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared

MAX_DOUBLINGS: Final = 9


def adopt(shared: "Shared", sock: socket.socket, message: Mapping[str, Any]) -> None:
    """Serve the connection of the node's message `back`: its next request, or a part of it, waits in the socket."""

    def ended(task: "asyncio.Task[object]") -> None:
        shared.adopting.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            sock.close()
            shared.on_trouble(f"splicing: a connection did not come back: {type(failure).__name__}: {failure}")

    connection = HandedBack(shared, message)
    sock.setblocking(False)
    opening = shared.loop.connect_accepted_socket(lambda: connection, sock)
    task: asyncio.Task[object] = shared.loop.create_task(opening)
    shared.adopting.add(task)
    task.add_done_callback(ended)


class HandedBack(ClientConnection):
    """Who the client is was noted when it went; a node that has been restarted since knows its address only.

    One that comes back for the first time may go again after one request: most do so for a path that was not known to
    be covered. Then it stays for `splice_after` requests, and for twice as many each further time.
    """

    __slots__ = ("_address", "_at_ns", "_noted")

    def __init__(self, shared: "Shared", message: Mapping[str, Any]) -> None:
        super().__init__(shared)
        noted = message.get("client") or {}
        self._noted: tuple[str, int, str, int] | None = tuple(noted["peer"]) if "peer" in noted else None
        self._address: tuple[str, int] | None = tuple(message["address"]) if message.get("address") else None
        self._at_ns = int(message.get("at", 0))  # when the kernel gave it back; until its first bytes are read
        self.backs = int(noted.get("backs", 0)) + 1
        if self.backs == 1:
            self.splice_at = 1
        else:
            self.splice_at = shared.settings.splice_after << min(self.backs - 2, MAX_DOUBLINGS)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._at_ns:
            at_ns, self._at_ns = self._at_ns, 0
            if self.exchange is not None or self.served:  # else its client owes the rest of the head
                durations.observe(self.shared.counters.decided, (time.monotonic_ns() - at_ns) / 1e9)

    def take(self, transport: asyncio.BaseTransport) -> bool:
        """Note who is there. It was accepted before, so it is not counted as that; the limit of all holds."""
        shared = self.shared
        self.transport = cast(asyncio.Transport, transport)
        if self._noted is not None:
            address, port, server_address, server_port = self._noted
        else:
            address, port = self._address or transport.get_extra_info("peername")[:2]
            server_address, server_port = transport.get_extra_info("sockname")[:2]
        trusted = shared.trusts(address)
        self.peer = Peer(address, address.encode("ascii"), port, server_address, server_port, trusted)
        if shared.has_room:
            return True
        self._turn_away("refused")
        return False
