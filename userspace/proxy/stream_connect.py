"""A connection to an endpoint for a stream: plain or secured, with a PROXY header where the upstream wants one."""

import asyncio
from typing import TYPE_CHECKING, cast

from control.model.upstream import Endpoint, Upstream
from userspace.config.names import is_name
from userspace.http.proxy_protocol import Ends, header
from userspace.http.request import Peer
from userspace.proxy.tls_connect import Secure, TlsConnect

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared


async def connect(shared: "Shared", upstream: Upstream, endpoint: Endpoint, peer: Peer, name: str) -> asyncio.Transport:
    """Return the transport of a new connection, whose protocol is an Unread. `name`: what a secured one asks for.

    Raises OSError, LbError, ContextError.
    """
    loop = shared.loop
    address = await shared.naming.address_of(endpoint.host) if is_name(endpoint.host) else endpoint.host
    first = b""
    if upstream.proxy_protocol:
        ends = Ends(peer.address, peer.port, peer.server_address, peer.server_port)
        first = header(upstream.proxy_protocol, ends)
    if upstream.scheme != "tls":
        opened, _ = await loop.create_connection(Unread, address, endpoint.port)
        if first:
            opened.write(first)
        return opened
    unread = Unread()
    secure = Secure(shared.client_contexts.of(upstream), upstream.upstream_host or name)
    handshake = TlsConnect(unread, secure, None, first)
    try:
        await loop.create_connection(lambda: handshake, address, endpoint.port)
        stream = await handshake.done
    except BaseException:
        handshake.abort()
        raise
    unread.connection_made(stream)
    stream.begin()
    return stream


class Unread(asyncio.Protocol):
    """Holds what comes from an endpoint until it is carried: one read, and perhaps the end."""

    def __init__(self) -> None:
        self.data = b""
        self.has_ended = False
        self.is_lost = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self.has_ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
