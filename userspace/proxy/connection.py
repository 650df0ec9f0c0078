"""The client's side: bytes to the codec, one exchange at a time, time-outs, back-pressure, how a connection ends."""

import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from userspace.errors import LbError, Retry, Source
from userspace.http.events import Body, EndOfMessage, Event, ProtocolError, RequestHead
from userspace.http.http1 import RequestParser
from userspace.proxy import failures
from userspace.proxy.body_pace import BodyPace
from userspace.proxy.exchange import Exchange
from userspace.proxy.record import record_refusal
from userspace.proxy.replies import REASONS, reply
from userspace.proxy.spliceable import Spliceable

if TYPE_CHECKING:
    from userspace.proxy.shared import Shared

JOINED_BYTES = 8192
"""Up to here copying the pieces into one costs less than writev."""

_OF_BODY = {
    "body_timeout": "request body takes too long",
    "body_too_slow": "request body comes too slowly",
}
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ClientConnection(Spliceable):
    """One accepted connection. Between requests it has no exchange; `is_lingering` when only its end is awaited."""

    __slots__ = (
        "exchange",
        "in_head",
        "is_full",
        "is_held",
        "pace",
        "parser",
        "received",
        "sent",
        "served",
    )

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self.parser = RequestParser(shared.request_limits, shared.settings.allow_connect)
        self.exchange: Exchange | None = None
        self.in_head = True  # the deadline is that of a request head
        self.is_full = False  # the client reads slower than we write
        self.is_held = False  # we do not read
        self.pace: BodyPace | None = None  # once the present request's body was waited for
        self.received = 0
        self.sent = 0
        self.served = 0

    # The transport's calls.

    def begin(self) -> None:
        shared, transport = self.shared, self.transport
        assert transport is not None
        shared.connections.add(self)
        transport.set_write_buffer_limits(shared.settings.write_buffer_high, shared.settings.write_buffer_low)
        shared.wheel.set(self, shared.header_ticks)

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            return
        self.received += len(data)
        try:
            events = self.parser.feed(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        self._take(events)

    def eof_received(self) -> None:
        # A client that closes its sending side before it is answered is treated as gone, as nginx does: whether it
        # still reads cannot be known before something is written.
        if self.exchange is not None:
            self.exchange.client_gone()
            self.exchange = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.shared.wheel.remove(self)
        self.shared.connections.discard(self)
        self.leave()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_gone()
        self.shared.connection_closed()

    def pause_writing(self) -> None:
        self.is_full = True
        if self.pace is not None:
            self.pace.hold(self.shared.wheel.now)
        self.shared.wheel.set(self, self.shared.send_ticks)
        if self.exchange is not None:
            self.exchange.client_full()

    def resume_writing(self) -> None:
        self.is_full = False
        self.deadline = 0
        if self.exchange is not None:
            self.exchange.client_ready()
            self._await_body()
        elif not self.is_lingering:
            self._next()

    def expired(self) -> None:
        exchange = self.exchange
        if self.is_lingering:
            self.abort()
        elif self.is_full:
            self._fail(LbError("send_timeout", Source.CLIENT, Retry.NEVER))
        elif exchange is not None:
            is_slow = self.pace is not None and not self.pace.is_silent(self.shared.wheel.now)
            self._fail(failures.BODY_TOO_SLOW if is_slow else failures.BODY_TIMEOUT)
        elif self.in_head and not self.parser.is_idle:
            self._refuse(ProtocolError(408, "request head takes too long"))
        elif self.transport is not None:
            self.transport.close()

    # What the exchange calls.

    def write(self, pieces: Sequence[bytes]) -> None:
        """Send; never blocks. `is_full` tells whether to wait for `Exchange.client_ready` before the next."""
        transport = self.transport
        if transport is None:
            return  # connection_lost is on its way
        if len(pieces) == 1:
            data = pieces[0]
            self.sent += len(data)
            transport.write(data)
            return
        size = sum(map(len, pieces))
        self.sent += size
        if size > JOINED_BYTES:
            transport.writelines(pieces)
        elif size:
            transport.write(b"".join(pieces))

    def may_keep_alive(self, asked: bool) -> bool:
        """Say whether the connection can serve another request after this one."""
        limit = self.shared.settings.max_requests_per_connection
        return asked and not self.shared.is_draining and not 0 < limit <= self.served + 1

    def exchange_over(self, keep_alive: bool, is_complete: bool) -> None:
        """The response is written. Go on to the next request, or end the connection."""
        self.exchange = None
        self.served += 1
        parser = self.parser
        if not keep_alive:
            self._end(is_complete and not parser.unread)
        elif self.is_full or self.is_held or parser.unread:
            self.update_reading()
            if not self.is_full:
                # Not a call: a read may hold thousands of pipelined requests that are answered on the spot.
                self.shared.loop.call_soon(self._next)
        else:
            parser.resume()
            self.in_head = False
            self.shared.wheel.set(self, self.shared.idle_ticks)
            if self.shared.is_draining:  # keep-alive was promised before the drain began
                self.drain()

    def update_reading(self) -> None:
        """Read, or leave the bytes to the kernel, as the present exchange and the codec want it."""
        exchange = self.exchange
        held = self.parser.unread > 0 or (self.is_full if exchange is None else exchange.holds_body)
        if held is not self.is_held and self.transport is not None:
            self.is_held = held
            if held:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()
        if exchange is not None:
            self._await_body()

    def take_bytes(self) -> tuple[int, int]:
        """Return the bytes (received, sent) of the exchange that ends now; those read ahead count for the next."""
        unread = self.parser.unread
        counts = self.received - unread, self.sent
        self.received, self.sent = unread, 0
        return counts

    def carried(self, received: int, sent: int) -> None:
        """Count what a tunnel carried."""
        self.received += received
        self.sent += sent

    def abort(self) -> None:
        """Reset the connection: the client must not take what it has for the whole."""
        if self.transport is not None and not self.is_handed_over:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        super().abort()

    def drain(self) -> None:
        """Close if idle; a new connection may still send its first request. Others get `Connection: close`."""
        if self.exchange is None and self.served and self.parser.is_idle and self.transport is not None:
            self.transport.close()

    def cut(self) -> None:
        """The drain is over."""
        if self.is_handed_over:
            return
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.fail_client(503, failures.DRAINED)
        self.abort()

    # Between the codec and the exchange.

    def _take(self, events: list[Event]) -> None:
        exchange = self.exchange
        begins = False
        for event in events:
            kind = type(event)
            if kind is RequestHead:
                assert isinstance(event, RequestHead)
                exchange = self.exchange = Exchange(self, event)
                self.pace = None
                begins = True
            elif exchange is None:
                return
            elif kind is Body:
                assert isinstance(event, Body)
                exchange.request_body(event.data)
            else:
                assert isinstance(event, EndOfMessage)
                exchange.request_end(event)
        if exchange is None:
            if not self.in_head and not self.parser.is_idle:
                self.in_head = True
                self.shared.wheel.set(self, self.shared.header_ticks)
            return
        self.deadline = 0
        if begins:
            exchange.begin()
        else:
            exchange.push()
        if self.exchange is not None and (not exchange.is_complete or self.is_held or self.parser.unread):
            self.update_reading()

    def _next(self) -> None:
        if self.transport is None or self.exchange is not None or self.is_lingering:
            return
        self.in_head = False
        try:
            events = self.parser.resume()
        except ProtocolError as error:
            self._refuse(error)
            return
        if events:
            self._take(events)
            return
        shared = self.shared
        if shared.is_draining:
            self.drain()
        self.in_head = not self.parser.is_idle
        shared.wheel.set(self, shared.header_ticks if self.in_head else shared.idle_ticks)
        if self.is_held:
            self.update_reading()

    def _await_body(self) -> None:
        exchange = self.exchange
        if self.is_full or exchange is None:
            return
        shared, pace = self.shared, self.pace
        if exchange.is_complete or exchange.holds_body:
            self.deadline = 0
            if pace is not None:
                pace.hold(shared.wheel.now)
        elif shared.settings.min_body_rate:
            if pace is None:
                pace = self.pace = BodyPace(
                    shared.body_ticks, shared.settings.min_body_rate, 1 / shared.wheel.tick_seconds
                )
            size = exchange.body.size if exchange.body is not None else 0
            shared.wheel.set(self, pace.wait(shared.wheel.now, size))
        else:
            shared.wheel.set(self, shared.body_ticks)

    # Ends.

    def _refuse(self, error: ProtocolError) -> None:
        """The client broke the protocol: answer if nothing was answered yet, and end."""
        self.shared.counters.error("client", f"status_{error.status}")
        exchange, self.exchange = self.exchange, None
        if exchange is not None and exchange.answer is not None:
            exchange.fail_client(error.status, LbError("bad_request", Source.CLIENT, Retry.NEVER, error.reason))
            self.abort()
            return
        text = f"{error.status} {REASONS.get(error.status, b'Error').decode()}: {error.reason}"
        self.write([reply(error.status, text, False, False, self.shared.dates.line)])
        if exchange is not None:
            exchange.fail_client(error.status, LbError("bad_request", Source.CLIENT, Retry.NEVER, error.reason))
        else:
            record_refusal(self, error)
        self._end(False)

    def _fail(self, error: LbError) -> None:
        """The client stalls in the middle of an exchange."""
        why = _OF_BODY.get(error.kind) if self.exchange is not None and self.exchange.answer is None else None
        if why is None or error is failures.BODY_TOO_SLOW:
            self.shared.counters.error(error.source.value, error.kind)
        if why is not None:
            self._refuse(ProtocolError(408, why))
            return
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.fail_client(408, error)
        self.abort()

    def _end(self, is_clean: bool) -> None:
        """Close when everything is written; unless all was read, only half, and throw the rest away for a while."""
        transport = self.transport
        if transport is None:
            return
        self.is_lingering = True
        if is_clean:
            transport.close()
            self.shared.wheel.set(self, self.shared.send_ticks)
            return
        transport.write_eof()
        transport.resume_reading()
        self.shared.wheel.set(self, self.shared.linger_ticks)
