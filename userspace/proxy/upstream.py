"""One connection to an endpoint, and one attempt to open it. Both report to the Forward they serve."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, cast

from control.model.upstream import Endpoint
from userspace.config.names import is_name
from userspace.errors import LbError, Retry, Source
from userspace.http.events import ProtocolError
from userspace.http.http1 import ResponseParser
from userspace.proxy import failures
from userspace.proxy.pool import Pool
from userspace.proxy.tls_connect import MAX_SESSIONS, Secure, TlsConnect
from userspace.proxy.tls_stream import TlsStream
from userspace.proxy.wheel import Timed

if TYPE_CHECKING:
    from userspace.proxy.forward import Forward
    from userspace.proxy.shared import Shared


class UpstreamConnection(Timed, asyncio.Protocol):
    """Bytes from the endpoint go through the codec to `forward`; without one the connection is idle in its pool, where
    any byte or the end of the stream closes it. The deadline is that of the pool when idle, else that of `forward`."""

    __slots__ = ("forward", "is_counted", "is_full", "parser", "pool", "secure", "served", "shared", "transport")

    def __init__(self, shared: "Shared", pool: Pool, secure: Secure | None = None) -> None:
        super().__init__()
        self.shared = shared
        self.pool = pool
        self.secure = secure
        self.forward: Forward | None = None
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

    def assign(self, forward: "Forward", method: str, offered: bytes | None) -> None:
        """Serve this request next; the response is that to `method`, and may take up one of the protocols `offered`."""
        self.forward = forward
        self.served += 1
        if self.parser is None:
            self.parser = ResponseParser(self.shared.response_limits, method, offered)
        else:
            self.parser.expect(method, offered)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Send; never blocks. `is_full` tells whether to hold the next back until `Forward.flow_changed`."""
        transport = self.transport
        if transport is None:
            return  # connection_lost is on its way to the exchange
        if len(pieces) == 1:
            transport.write(pieces[0])
        elif pieces:
            transport.writelines(pieces)

    def release(self) -> None:
        """The exchange is over and took the whole response: back to the pool, or closed."""
        self.forward = None
        if self.secure is not None and self.served == 1:
            self._note_session(self.secure)
        assert self.parser is not None
        if self.parser.is_reusable and not self.is_full and self.transport is not None and self.pool.give_back(self):
            self.shared.wheel.set(self, self.pool.idle_ticks)
        else:
            self.abort()

    def _note_session(self, secure: Secure) -> None:
        """Once it has served, whatever tickets there are have come: the next connection resumes."""
        sessions = self.pool.sessions
        session = self.transport.session if isinstance(self.transport, TlsStream) else None
        if session is not None and session.has_ticket:
            sessions.pop(secure, None)
            if len(sessions) >= MAX_SESSIONS:
                del sessions[next(iter(sessions))]
            sessions[secure] = session

    def close(self) -> None:
        """Close an idle connection that is out of its pool."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close now, whatever is unsent. The exchange, if any, hears nothing more."""
        self.forward = None
        self.pool.forget(self)
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        settings = self.shared.settings
        self.transport.set_write_buffer_limits(settings.write_buffer_high, settings.write_buffer_low)

    def data_received(self, data: bytes) -> None:
        forward = self.forward
        if forward is None:
            self.abort()  # an endpoint that speaks unasked
            return
        assert self.parser is not None
        try:
            events = self.parser.feed(data)
        except ProtocolError as error:
            forward.failed(failures.bad_response(error.reason))
            return
        forward.answered(events)

    def eof_received(self) -> None:
        forward = self.forward
        if forward is None or self.parser is None:
            self.pool.forget(self)  # now, not when the transport says so: it could be taken in between
            return
        try:
            events = self.parser.eof()
        except ProtocolError:
            forward.failed(failures.CLOSED if self.parser.is_idle else failures.TRUNCATED)
            return
        forward.answered(events)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.shared.wheel.remove(self)
        self.pool.forget(self)
        forward, self.forward = self.forward, None
        if forward is not None:
            idle = self.parser is None or self.parser.is_idle
            forward.failed(failures.RESET if idle else failures.TRUNCATED)

    def pause_writing(self) -> None:
        self.is_full = True
        if self.forward is not None:
            self.forward.flow_changed()

    def resume_writing(self) -> None:
        self.is_full = False
        if self.forward is not None:
            self.forward.flow_changed()

    def expired(self) -> None:
        if self.forward is None:
            self.abort()
        else:
            self.forward.failed(failures.SEND_TIMEOUT if self.is_full else failures.READ_TIMEOUT)


class Attempt(Timed):
    """Opening one connection for one request. Ends in one of `Forward.connected`, `Forward.failed` and `cancel`."""

    __slots__ = ("connection", "forward", "shared", "task")

    def __init__(
        self, shared: "Shared", pool: Pool, forward: "Forward", ticks: int, secure: Secure | None = None
    ) -> None:
        super().__init__()
        self.shared = shared
        self.forward: Forward | None = forward
        connection = self.connection = UpstreamConnection(shared, pool, secure)
        pool.open += 1
        pool.circuit.pending += 1
        shared.counters.totals["upstream_connects"] += 1
        shared.wheel.set(self, ticks)
        endpoint = pool.endpoint
        if secure is not None or is_name(endpoint.host):
            opening: Coroutine[Any, Any, object] = self._open(endpoint, forward.proxy_header, secure)
        else:
            opening = shared.loop.create_connection(lambda: connection, endpoint.host, endpoint.port)
        self.task = shared.loop.create_task(opening)
        # Not an `await` in a coroutine of ours: one that is cancelled before its first step never runs its `finally`.
        self.task.add_done_callback(self._ended)

    async def _open(self, endpoint: Endpoint, header: bytes, secure: Secure | None) -> None:
        """By a name, when its upstream was compiled before that was resolved; or with TLS."""
        loop, connection, address = self.shared.loop, self.connection, endpoint.host
        if is_name(address):
            address = await self.shared.naming.address_of(address)
        if secure is None:
            await loop.create_connection(lambda: connection, address, endpoint.port)
            return
        handshake = TlsConnect(connection, secure, connection.pool.sessions.get(secure), header)
        try:
            await loop.create_connection(lambda: handshake, address, endpoint.port)
            stream = await handshake.done
        except BaseException:
            handshake.abort()
            raise
        connection.connection_made(stream)
        stream.begin()

    def cancel(self) -> None:
        """The exchange needs it no more."""
        self.forward = None
        self.task.cancel()

    def expired(self) -> None:
        forward = self.forward
        if forward is not None:
            forward.attempt = None
        self.cancel()
        if forward is not None:
            forward.failed(failures.CONNECT_TIMEOUT)

    def _ended(self, task: "asyncio.Task[object]") -> None:
        self.shared.wheel.remove(self)
        self.connection.pool.circuit.pending -= 1
        forward, self.forward = self.forward, None
        failure = None if task.cancelled() else task.exception()
        if failure is not None or task.cancelled() or forward is None:
            self.connection.pool.forget(self.connection)
            self.connection.abort()
        if forward is None:
            return
        forward.attempt = None
        if failure is None:
            forward.connected(self.connection)
        elif isinstance(failure, OSError):
            forward.failed(failures.connect_failure(failure))
        elif isinstance(failure, LbError):
            forward.failed(failure)
        else:
            forward.failed(LbError("connect_failed", Source.INTERNAL, Retry.NEVER, str(failure)))
