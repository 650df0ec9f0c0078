"""Client connections of a listener in front of which a proxy stands that speaks the PROXY protocol."""

import asyncio
from typing import TYPE_CHECKING

from userspace.http.proxy_protocol import HeaderReader, ProxyHeaderError
from userspace.proxy.connection import ClientConnection

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared


class BehindProxy(ClientConnection):
    """A connection that begins with a PROXY header, within `header_timeout`. The client is whom that names.

    A peer that is not in `proxy_protocol_from`, and one that sends no header, is cut off without a word: what it takes
    us for is unknown.
    """

    __slots__ = ("_reader",)

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self._reader: HeaderReader | None = HeaderReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.take(transport):
            return
        if self.shared.speaks_for_clients(self.peer.address):
            self.begin()
        else:
            self._cut_off("proxy_untrusted")

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None or self.is_lingering:
            super().data_received(data)
            return
        try:
            rest = reader.feed(data)
        except ProxyHeaderError:
            self._cut_off("proxy_header")
            return
        if not reader.is_done:
            return
        self._reader = None
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
        if self._reader is None:
            super().expired()
        else:
            self._cut_off("proxy_header")

    def _cut_off(self, kind: str) -> None:
        self.shared.counters.error("client", kind)
        self.is_lingering = True
        self.abort()
