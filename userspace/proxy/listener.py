"""Accepting on the listening sockets that the node opened and this process inherited."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

from userspace.proxy.behind_proxy import BehindProxy
from userspace.proxy.connection import ClientConnection
from userspace.proxy.shared import Shared


class Listener:
    """All listening sockets of one worker. Whether a connection is served or answered 503 is decided by itself."""

    __slots__ = ("_servers", "_shared", "_sockets")

    def __init__(self, shared: Shared, fds: Sequence[int]) -> None:
        self._shared = shared
        self._sockets = [socket.socket(fileno=fd) for fd in fds]
        self._servers: list[asyncio.AbstractServer] = []

    async def open(self) -> None:
        """Begin to accept. Until this the kernel keeps new connections in the backlog."""
        shared = self._shared
        for listening in self._sockets:
            listening.setblocking(False)
            is_proxied = listening.getsockname()[1] in shared.settings.proxy_protocol_ports
            protocol = BehindProxy if is_proxied else ClientConnection
            server = await shared.loop.create_server(
                partial(protocol, shared), sock=listening, backlog=shared.settings.backlog
            )
            self._servers.append(server)

    def close(self) -> None:
        """Stop accepting. The node still holds the sockets, so what is in the backlog goes to the other workers."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()
