"""Streams: TCP connections that are carried as they are, by stream routes. TLS passes through: its ClientHello says
where to, and nothing is decrypted.
"""

import asyncio
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from control.model.upstream import Endpoint
from userspace.config.compiled import CompiledUpstream
from userspace.config.streams import CompiledStream
from userspace.errors import LbError, Retry, Source
from userspace.http.client_hello import ClientHelloError, ClientHelloReader
from userspace.proxy import failures
from userspace.proxy.accepted import Accepted
from userspace.proxy.observations import code_of
from userspace.proxy.splice_guard import may_splice
from userspace.proxy.splice_tunnel import TunnelSplice, are_plain
from userspace.proxy.stream_connect import Unread, connect
from userspace.proxy.tls_contexts import ContextError
from userspace.proxy.tunnel import End

if TYPE_CHECKING:
    from userspace.proxy.pool import Pool
    from userspace.proxy.shared import Shared

_UNROUTED = LbError("stream_unrouted", Source.CLIENT, Retry.NEVER)


class StreamAccept(Accepted):
    """One of them, from accept to the end of both connections.

    While some route goes by server name, the first bytes are read for one, within `tls_handshake_timeout`; a client
    that is silent so long, or speaks no TLS, has none. What was read is held, and the client is not read any further,
    until an endpoint is connected. Then bytes go both ways, each side held back while the other is slow, until both
    have ended, one is lost, or none moves for the upstream's read time-out.
    """

    __slots__ = (
        "_ahead",
        "_begun",
        "_compiled",
        "_endpoint",
        "_ends",
        "_error",
        "_hello",
        "_is_closing",
        "_is_over",
        "_name",
        "_pool",
        "_spliced",
        "_stream",
        "_task",
        "_tried",
    )

    def __init__(self, shared: "Shared") -> None:
        super().__init__(shared)
        self._begun = perf_counter()
        self._hello: ClientHelloReader | None = None
        self._ahead = b""
        self._name = ""
        self._stream: CompiledStream | None = None
        self._compiled: CompiledUpstream | None = None
        self._endpoint: Endpoint | None = None
        self._pool: Pool | None = None
        self._tried: set[Endpoint] = set()
        self._task: asyncio.Task[asyncio.Transport] | None = None
        self._ends: tuple[End, End] | None = None
        self._error: LbError | None = None
        self._is_closing = False
        self._is_over = False
        self._spliced = False

    # The client's side until an endpoint is there.

    def begin(self) -> None:
        shared = self.shared
        shared.bare.add(self)
        shared.counters.totals["streams"] += 1
        if shared.router.streams.wants_names:
            self._hello = ClientHelloReader()
            shared.wheel.set(self, shared.handshake_ticks)
        else:
            self._route()

    def data_received(self, data: bytes) -> None:
        self._ahead += data
        reader = self._hello
        if reader is None:
            if self.transport is not None:
                self.transport.pause_reading()  # uvloop forgets the pause of a connection that it is just making
            return
        try:
            hello = reader.feed(data)
        except ClientHelloError:
            self._route()
            return
        if hello is not None:
            self._name = hello.server_name
            self._route()

    def eof_received(self) -> None:
        self._over(failures.CLIENT_GONE)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._over(failures.CLIENT_GONE)

    def cut(self) -> None:
        """The drain is over."""
        self._over(failures.DRAINED)

    def expired(self) -> None:
        if self._hello is not None:
            self._route()
        elif self._task is not None:
            self._task.cancel()
            self._failed(failures.CONNECT_TIMEOUT)
        elif self._is_closing or self._ends is None:
            self._over(self._error)
        else:
            self._error = failures.TUNNEL_IDLE
            self._close()

    def _turn_away(self, total: str) -> None:
        """Too many: whatever protocol it is, we speak it not."""
        self.shared.counters.totals[total] += 1
        self.is_lingering = True
        self.abort()

    # Deciding and connecting.

    def _route(self) -> None:
        self._hello = None
        stream = self._stream = self.shared.router.streams.match(self._name, self.peer)
        if stream is None or stream.slot is None or self.transport is None:
            self._over(_UNROUTED)
            return
        self.transport.pause_reading()
        self._compiled = stream.slot.compiled
        self._try()

    def _try(self) -> None:
        compiled, shared = self._compiled, self.shared
        assert compiled is not None
        upstream = compiled.upstream
        endpoint = compiled.picker.pick(self._tried, self.peer.address)
        if endpoint is None or upstream is None:
            self._over(self._error or failures.NO_ENDPOINT)
            return
        self._tried.add(endpoint)
        self._endpoint = endpoint
        compiled.picker.began(endpoint)
        pool = self._pool = shared.pools.of(upstream, endpoint)
        pool.open += 1
        if pool.open > pool.limit:
            shared.loop.call_soon(self._failed, failures.ENDPOINT_FULL)
            return
        shared.counters.totals["upstream_connects"] += 1
        shared.wheel.set(self, shared.wheel.ticks(upstream.timeout.connect))
        self._task = shared.loop.create_task(connect(shared, upstream, endpoint, self.peer, self._name))
        self._task.add_done_callback(self._connected)

    def _connected(self, task: "asyncio.Task[asyncio.Transport]") -> None:
        if task is not self._task:  # nobody waits for it any more
            if not task.cancelled() and task.exception() is None:
                task.result().abort()
            return
        self._task = None
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, OSError):
            self._failed(failures.connect_failure(failure))
        elif isinstance(failure, LbError):
            self._failed(failure)
        elif isinstance(failure, ContextError):
            self.shared.on_trouble(str(failure))
            self._failed(failures.NO_CLIENT_CERTIFICATE)
        elif failure is not None or task.cancelled():
            self._failed(LbError("connect_failed", Source.INTERNAL, Retry.NEVER, str(failure)))
        else:
            self._carry(task.result())

    def _failed(self, error: LbError) -> None:
        """No connection to this endpoint: try the next, as often as the upstream says."""
        compiled, endpoint, pool = self._compiled, self._endpoint, self._pool
        if self._is_over or compiled is None or compiled.upstream is None or endpoint is None or pool is None:
            return
        self._task = None
        self._error = error
        self.shared.counters.error(error.source.value, error.kind)
        code = code_of(error)
        if compiled.passive is not None and code is not None:
            self.shared.observations.failed(compiled.upstream, pool.address, code)
        self._give_back()
        if error.retry is Retry.NEVER or len(self._tried) > compiled.retries:
            self._over(error)
        else:
            self.shared.counters.totals["retries"] += 1
            self._try()

    # Carrying: what the two ends call.

    def _carry(self, upstream: asyncio.Transport) -> None:
        client = self.transport
        assert client is not None
        unread = upstream.get_protocol()
        assert isinstance(unread, Unread)
        self._error = None
        settings = self.shared.settings
        ours, theirs = self._ends = End(self, client), End(self, upstream)
        ours.other, theirs.other = theirs, ours
        for end in (ours, theirs):
            end.transport.set_write_buffer_limits(settings.write_buffer_high, settings.write_buffer_low)
            end.transport.set_protocol(end)
        ahead, self._ahead = self._ahead, b""
        ours.received, theirs.received = len(ahead), len(unread.data)
        theirs.write(ahead)
        self._offer(ours, theirs)
        if theirs.splice is not None and unread.data and not unread.has_ended and theirs.splice.holds(unread.data):
            self.moved()
            return
        ours.write(unread.data)
        ours.hold(False)
        theirs.hold(False)
        self.moved()
        if unread.has_ended:
            theirs.eof_received()
        if unread.is_lost:
            theirs.connection_lost(None)

    def _offer(self, ours: End, theirs: End) -> None:
        """Let the node have it, where it may."""
        splicing, stream, compiled, pool = self.shared.splicing, self._stream, self._compiled, self._pool
        if splicing is None or stream is None or compiled is None or compiled.upstream is None or pool is None:
            return
        if not stream.is_spliced or not may_splice(self.shared, compiled) or not are_plain(ours, theirs):
            return
        peer = self.peer
        facts = {
            "route": stream.route.id,
            "upstream": compiled.upstream.id,
            "endpoint": pool.address,
            "client": {"peer": [peer.address, peer.port, peer.server_address, peer.server_port]},
            "log": self.shared.logged(self.shared.router.snapshot.revision, pool.endpoint.vpc_id),
        }
        theirs.splice = TunnelSplice(splicing, ours, theirs, facts, self._handed)

    def _handed(self) -> None:
        self._spliced = True

    def moved(self) -> None:
        """Bytes have moved, or may move again."""
        if not self._is_closing and self._compiled is not None and self._compiled.upstream is not None:
            wheel = self.shared.wheel
            wheel.set(self, wheel.ticks(self._compiled.upstream.timeout.read))

    def ended(self) -> None:
        """A side has ended its stream."""
        if self._ends is not None and all(end.has_ended for end in self._ends):
            self._close()

    def lost(self, end: End) -> None:
        """A connection is gone: the other one goes when what was taken for it is written."""
        end.is_lost = True
        if self._ends is not None and all(end.is_lost for end in self._ends):
            self._over(self._error)
        else:
            self._close()

    def _close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self.shared.wheel.set(self, self.shared.send_ticks)
        for end in self._ends or ():
            end.transport.close()

    # The end.

    def _give_back(self) -> None:
        """The endpoint is used no more."""
        pool, self._pool = self._pool, None
        if pool is not None and self._compiled is not None and self._endpoint is not None:
            pool.open -= 1
            self._compiled.picker.ended(self._endpoint, None)

    def _over(self, error: LbError | None) -> None:
        if self._is_over:
            return
        self._is_over = self._is_closing = True
        shared, task = self.shared, self._task
        self._task = self._hello = None
        if task is not None:
            task.cancel()
        if error is not None and error is not self._error:
            shared.counters.error(error.source.value, error.kind)
        self._record(error)
        self._give_back()
        shared.wheel.remove(self)
        for end in self._ends or ():
            end.transport.abort()
        self.abort()
        shared.bare.discard(self)
        self.leave()
        shared.connection_closed()

    def _record(self, error: LbError | None) -> None:
        ours, theirs = self._ends or (None, None)
        stream, endpoint, compiled = self._stream, self._endpoint, self._compiled
        self.shared.log.write(
            {
                "time": datetime.now(UTC),
                "client": self.peer.address,
                "server_port": self.peer.server_port,
                "server_name": self._name or None,
                "bytes_in": ours.received if ours is not None else len(self._ahead),
                "bytes_out": theirs.received if theirs is not None else 0,
                "stream_ms": round((perf_counter() - self._begun) * 1000, 3),
                "route": stream.route.id if stream is not None else None,
                "upstream": compiled.upstream.id if compiled is not None and compiled.upstream is not None else None,
                "endpoint": endpoint.address if endpoint is not None else None,
                "vpc_id": endpoint.vpc_id if endpoint is not None else None,
                "retries": max(0, len(self._tried) - 1),
                "error": error.kind if error is not None else None,
                "error_source": error.source.value if error is not None else None,
                "revision": self.shared.router.snapshot.revision,
                **({"splice": "opaque"} if self._spliced else {}),
            }
        )
