"""One connection to an endpoint, and one attempt to open it. Both report to the exchange they serve."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from userspace.errors import LbError, Retry, Source
from userspace.http.events import ProtocolError
from userspace.http.http1 import ResponseParser
from userspace.proxy import failures
from userspace.proxy.pool import Pool
from userspace.proxy.wheel import Timed

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange
    from userspace.proxy.shared import Shared


class UpstreamConnection(Timed, asyncio.Protocol):
    """Bytes from the endpoint go through the codec to the exchange; without an exchange it is idle in its pool, where
    any byte or the end of the stream closes it. The deadline is that of the pool when idle, else the exchange's."""

    __slots__ = ("exchange", "is_counted", "is_full", "parser", "pool", "served", "shared", "transport")

    def __init__(self, shared: "Shared", pool: Pool) -> None:
        super().__init__()
        self.shared = shared
        self.pool = pool
        self.exchange: Exchange | None = None
        self.parser: ResponseParser | None = None
        self.transport: asyncio.Transport | None = None
        self.is_counted = True  # in pool.open
        self.served = 0
        self.is_full = False  # the endpoint reads slower than the client sends

    @property
    def fileno(self) -> int:
        """The descriptor; only while usable."""
        assert self.transport is not None
        return cast(int, self.transport.get_extra_info("socket").fileno())

    def assign(self, exchange: "Exchange", method: str) -> None:
        """Serve this exchange next; the response is that to `method`."""
        self.exchange = exchange
        self.served += 1
        if self.parser is None:
            self.parser = ResponseParser(self.shared.response_limits, method)
        else:
            self.parser.expect(method)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Send; never blocks. `is_full` tells whether to hold the next back until `Exchange.upstream_flow`."""
        transport = self.transport
        if transport is None:
            return  # connection_lost is on its way to the exchange
        if len(pieces) == 1:
            transport.write(pieces[0])
        elif pieces:
            transport.writelines(pieces)

    def release(self) -> None:
        """The exchange is over and took the whole response: back to the pool, or closed."""
        self.exchange = None
        assert self.parser is not None
        if self.parser.is_reusable and not self.is_full and self.transport is not None and self.pool.give_back(self):
            self.shared.wheel.set(self, self.pool.idle_ticks)
        else:
            self.abort()

    def close(self) -> None:
        """Close an idle connection that is out of its pool."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close now, whatever is unsent. The exchange, if any, hears nothing more."""
        self.exchange = None
        self.pool.forget(self)
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        settings = self.shared.settings
        self.transport.set_write_buffer_limits(settings.write_buffer_high, settings.write_buffer_low)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.abort()  # an endpoint that speaks unasked
            return
        assert self.parser is not None
        try:
            events = self.parser.feed(data)
        except ProtocolError as error:
            exchange.failed(failures.bad_response(error.reason))
            return
        exchange.answered(events)

    def eof_received(self) -> None:
        exchange = self.exchange
        if exchange is None or self.parser is None:
            self.pool.forget(self)  # now, not when the transport says so: it could be taken in between
            return
        try:
            events = self.parser.eof()
        except ProtocolError:
            exchange.failed(failures.CLOSED if self.parser.is_idle else failures.TRUNCATED)
            return
        exchange.answered(events)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.shared.wheel.remove(self)
        self.pool.forget(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            idle = self.parser is None or self.parser.is_idle
            exchange.failed(failures.RESET if idle else failures.TRUNCATED)

    def pause_writing(self) -> None:
        self.is_full = True
        if self.exchange is not None:
            self.exchange.upstream_flow()

    def resume_writing(self) -> None:
        self.is_full = False
        if self.exchange is not None:
            self.exchange.upstream_flow()

    def expired(self) -> None:
        if self.exchange is None:
            self.abort()
        else:
            self.exchange.failed(failures.SEND_TIMEOUT if self.is_full else failures.READ_TIMEOUT)


class Attempt(Timed):
    """Opening one connection for one exchange. Ends in one of `Exchange.connected`, `Exchange.failed` and `cancel`."""

    __slots__ = ("connection", "exchange", "shared", "task")

    def __init__(self, shared: "Shared", pool: Pool, exchange: "Exchange", ticks: int) -> None:
        super().__init__()
        self.shared = shared
        self.exchange: Exchange | None = exchange
        connection = self.connection = UpstreamConnection(shared, pool)
        pool.open += 1
        shared.counters.totals["upstream_connects"] += 1
        shared.wheel.set(self, ticks)
        endpoint = pool.endpoint
        self.task = shared.loop.create_task(
            shared.loop.create_connection(lambda: connection, endpoint.host, endpoint.port)
        )
        # Not an `await` in a coroutine of ours: one that is cancelled before its first step never runs its `finally`.
        self.task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """The exchange needs it no more."""
        self.exchange = None
        self.task.cancel()

    def expired(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.attempt = None
        self.cancel()
        if exchange is not None:
            exchange.failed(failures.CONNECT_TIMEOUT)

    def _ended(self, task: "asyncio.Task[object]") -> None:
        self.shared.wheel.remove(self)
        exchange, self.exchange = self.exchange, None
        failure = None if task.cancelled() else task.exception()
        if failure is not None or task.cancelled() or exchange is None:
            self.connection.pool.forget(self.connection)
            self.connection.abort()
        if exchange is None:
            return
        exchange.attempt = None
        if failure is None:
            exchange.connected(self.connection)
        elif isinstance(failure, OSError):
            exchange.failed(failures.connect_failure(failure))
        else:  # a name that IDNA cannot encode is a UnicodeError
            exchange.failed(LbError("resolve_failed", Source.UPSTREAM, Retry.ALWAYS, str(failure)))
