"""Accepting on the listening sockets that the node opened and this process inherited: plain, TLS, streams."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

from userspace.proxy.accepted import Accepted
from userspace.proxy.behind_proxy import BehindProxy, StreamBehindProxy, TlsBehindProxy
from userspace.proxy.connection import ClientConnection
from userspace.proxy.shared import Shared
from userspace.proxy.stream_accept import StreamAccept
from userspace.proxy.tls_accept import TlsAccept


class Listener:
    """All listening sockets of one worker. Whether a connection is served or answered 503 is decided by itself."""

    __slots__ = ("_servers", "_shared", "_sockets")

    def __init__(
        self, shared: Shared, fds: Sequence[int], tls_fds: Sequence[int] = (), stream_fds: Sequence[int] = ()
    ) -> None:
        self._shared = shared
        self._sockets: list[tuple[socket.socket, type[Accepted], type[Accepted]]] = [
            *((socket.socket(fileno=fd), ClientConnection, BehindProxy) for fd in fds),
            *((socket.socket(fileno=fd), TlsAccept, TlsBehindProxy) for fd in tls_fds),
            *((socket.socket(fileno=fd), StreamAccept, StreamBehindProxy) for fd in stream_fds),
        ]
        self._servers: list[asyncio.AbstractServer] = []

    async def open(self) -> None:
        """Begin to accept. Until this the kernel keeps new connections in the backlog."""
        shared = self._shared
        for listening, direct, proxied in self._sockets:
            listening.setblocking(False)
            is_proxied = listening.getsockname()[1] in shared.settings.proxy_protocol_ports
            protocol = proxied if is_proxied else direct
            server = await shared.loop.create_server(
                partial(protocol, shared), sock=listening, backlog=shared.settings.backlog
            )
            self._servers.append(server)

    def close(self) -> None:
        """Stop accepting. The node still holds the sockets, so what is in the backlog goes to the other workers."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for listening, _, _ in self._sockets:
            listening.close()
        self._sockets.clear()
