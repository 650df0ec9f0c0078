"""Tunnel: an exchange whose connections carry bytes in both directions, after a 101 or an answered CONNECT.

Both transports get protocols of their own, so that HTTP costs nothing here and cannot meddle. The exchange stays the
client's until both connections are gone: it is logged then, once, and a drain cuts it as it cuts any other.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from userspace.proxy import failures
from userspace.proxy.splice_guard import may_splice
from userspace.proxy.splice_tunnel import TunnelSplice, are_plain
from userspace.proxy.wheel import Timed

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange
    from userspace.proxy.upstream import UpstreamConnection


class Tunnel(Timed):
    """Ends when both sides have ended their stream, when one is lost, and when no byte moves for `ticks`.

    The end of one side's stream is passed on; the other direction goes on. A side that is lost takes the other with it
    as soon as all that was taken for that one is written, which may last `send_timeout`.
    """

    __slots__ = (
        "_client",
        "_client_end",
        "_exchange",
        "_is_closing",
        "_open",
        "_ticks",
        "_unsent",
        "_upstream",
        "_upstream_end",
    )

    def __init__(self, exchange: "Exchange", upstream: "UpstreamConnection", ticks: int) -> None:
        super().__init__()
        client = exchange.client
        assert client.transport is not None and upstream.transport is not None
        self._exchange = exchange
        self._client = client
        self._upstream = upstream
        self._ticks = ticks
        self._open = 2
        self._is_closing = False
        self._unsent = 0
        self._client_end = End(self, client.transport)
        self._upstream_end = End(self, upstream.transport)
        self._client_end.other = self._upstream_end
        self._upstream_end.other = self._client_end

    def begin(self, head: bytes) -> None:
        """Write the answer's `head`, carry what both sides have sent ahead, then all that comes."""
        client, upstream, shared = self._client, self._upstream, self._exchange.shared
        assert upstream.parser is not None
        upstream.forward = None
        shared.wheel.remove(client)
        shared.wheel.remove(upstream)
        shared.counters.totals["tunnels"] += 1
        shared.tunnels += 1
        ours, theirs = self._client_end, self._upstream_end
        for end in (ours, theirs):
            end.transport.set_protocol(end)
        ahead = client.parser.take_unread()
        behind = upstream.parser.take_unread()
        client.sent += len(head)
        theirs.received += len(behind)
        self._offer()
        if not ahead and theirs.splice is not None and theirs.splice.holds(head + behind):
            return
        # What was written as HTTP may wait still: then that direction stays held.
        ours.hold(upstream.is_full)
        theirs.hold(client.is_full)
        theirs.write(ahead)
        ours.write(head + behind)
        self.moved()

    def _offer(self) -> None:
        """Let the node have it, where it may."""
        exchange = self._exchange
        splicing, route, compiled = exchange.shared.splicing, exchange.route, exchange.compiled
        if splicing is None or route is None or compiled is None or compiled.upstream is None:
            return
        ours, theirs = self._client_end, self._upstream_end
        if route.splice == "off" or not may_splice(exchange.shared, compiled) or not are_plain(ours, theirs):
            return
        facts = {
            "route": route.route.id,
            "upstream": compiled.upstream.id,
            "endpoint": self._upstream.pool.address,
            "client": self._client.facts,
            "log": exchange.shared.logged(exchange.revision, self._upstream.pool.endpoint.vpc_id),
        }
        theirs.splice = TunnelSplice(splicing, ours, theirs, facts, self._handed)

    def _handed(self) -> None:
        self._exchange.splice = "opaque"
        self._client.is_handed_over = True

    def take_bytes(self) -> tuple[int, int]:
        """Return what was (received from, sent to) the client; once."""
        ours, theirs = self._client_end, self._upstream_end
        counts = ours.received, theirs.received
        ours.received = theirs.received = 0
        return counts

    # What the ends call.

    def moved(self) -> None:
        """Bytes have moved, or may move again."""
        if not self._is_closing:
            self._exchange.shared.wheel.set(self, self._ticks)

    def ended(self) -> None:
        """A side has ended its stream."""
        if self._client_end.has_ended and self._upstream_end.has_ended:
            self._close()

    def lost(self, end: "End") -> None:
        """A connection is gone."""
        if end is self._client_end:
            self._client.transport = None
        else:
            self._upstream.transport = None
        self._open -= 1
        if self._open:
            self._close()
            return
        client, exchange = self._client, self._exchange
        exchange.shared.wheel.remove(self)
        exchange.shared.tunnels -= 1
        client.exchange = None
        exchange.tunnel_over()
        self._upstream.connection_lost(None)
        client.connection_lost(None)

    def expired(self) -> None:
        unsent = sum(end.transport.get_write_buffer_size() for end in (self._client_end, self._upstream_end))
        if self._is_closing:
            for end in (self._client_end, self._upstream_end):
                end.transport.abort()
        elif 0 < unsent < self._unsent:  # slow, not idle: some of what waits was taken
            self._unsent = unsent
            self.moved()
        else:
            self._exchange.note(failures.TUNNEL_IDLE)
            self._close()

    def _close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._exchange.shared.wheel.set(self, self._exchange.shared.send_ticks)
        for end in (self._client_end, self._upstream_end):
            end.transport.close()


class Carrier(Protocol):
    """Who is told what becomes of two ends."""

    def moved(self) -> None: ...
    def ended(self) -> None: ...
    def lost(self, end: "End") -> None: ...


class End(asyncio.Protocol):
    """One side of a tunnel or a stream: what comes from it goes to `other`."""

    __slots__ = ("has_ended", "is_lost", "other", "received", "splice", "transport", "tunnel")

    def __init__(self, tunnel: Carrier, transport: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.other = self
        self.received = 0
        self.has_ended = False
        self.is_lost = False
        self.splice: TunnelSplice | None = None  # of an endpoint, while the node may be asked to carry it

    def write(self, data: bytes) -> None:
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def hold(self, held: bool) -> None:
        """Leave what this side sends to the kernel, or read it."""
        if self.transport.is_closing():
            return
        if held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.splice is not None and self.splice.holds(data):
            return
        self.other.write(data)
        self.tunnel.moved()

    def eof_received(self) -> bool:
        self.has_ended = True
        transport = self.other.transport
        if not transport.is_closing():
            transport.write_eof()
        self.tunnel.ended()
        return True  # this side may still read

    def pause_writing(self) -> None:
        self.other.hold(True)

    def resume_writing(self) -> None:
        self.other.hold(False)
        self.tunnel.moved()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tunnel.lost(self)
