"""Client connections of a listener in front of which a proxy stands that speaks the PROXY protocol."""

import asyncio
from typing import TYPE_CHECKING

from userspace.http.proxy_protocol import HeaderReader, ProxyHeaderError
from userspace.proxy.accepted import Accepted
from userspace.proxy.connection import ClientConnection
from userspace.proxy.stream_accept import StreamAccept
from userspace.proxy.tls_accept import TlsAccept

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared


class _Proxied(Accepted):
    """Put before the class of a connection: the connection begins with a PROXY header, within the time that it gives
    itself. The client is whom that names.

    A peer that is not in `proxy_protocol_from`, and one that sends no header, is cut off without a word: what it takes
    us for is unknown.
    """

    __slots__ = ()
    reader: HeaderReader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.take(transport):
            return
        if self.shared.speaks_for_clients(self.peer.address):
            self.begin()
        else:
            self._cut_off("proxy_untrusted")

    def data_received(self, data: bytes) -> None:
        if self.reader.is_done or self.is_lingering:
            super().data_received(data)
            return
        reader = self.reader
        try:
            rest = reader.feed(data)
        except ProxyHeaderError:
            self._cut_off("proxy_header")
            return
        if not reader.is_done:
            return
        if reader.ends is not None:
            address, port, server_address, server_port = reader.ends
            trusted = self.shared.trusts(address)
            self.peer = self.peer._replace(
                address=address,
                field=address.encode("ascii"),
                port=port,
                server_address=server_address,
                server_port=server_port,
                trusted=trusted,
            )
        if self.enter() and rest:
            super().data_received(rest)

    def expired(self) -> None:
        if self.reader.is_done:
            super().expired()
        else:
            self._cut_off("proxy_header")

    def _cut_off(self, kind: str) -> None:
        self.shared.counters.error("client", kind)
        self.is_lingering = True
        self.abort()


class BehindProxy(_Proxied, ClientConnection):
    """Plain HTTP behind the header."""

    __slots__ = ("reader",)

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self.reader = HeaderReader()


class TlsBehindProxy(_Proxied, TlsAccept):
    """TLS behind the header."""

    __slots__ = ("reader",)

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self.reader = HeaderReader()


class StreamBehindProxy(_Proxied, StreamAccept):
    """A stream behind the header."""

    __slots__ = ("reader",)

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self.reader = HeaderReader()
