"""Getting one request to an endpoint and its response back: pick, connect, send, and try again where allowed."""

from collections.abc import Set
from time import perf_counter
from typing import TYPE_CHECKING

from control.model.health import Passive
from control.model.upstream import Endpoint, Upstream
from userspace.config.compiled import CompiledRoute, CompiledUpstream
from userspace.errors import LbError
from userspace.http.events import Event
from userspace.http.proxy_protocol import Ends, header
from userspace.http.upgrade import offers
from userspace.plugins.summary import Try
from userspace.proxy import failures
from userspace.proxy.circuit import Circuit
from userspace.proxy.endpoint_head import endpoint_head, host_for
from userspace.proxy.giving_up import end_broken
from userspace.proxy.observations import code_of
from userspace.proxy.tls_connect import Secure, server_name
from userspace.proxy.tls_contexts import ContextError
from userspace.proxy.tries import Tries
from userspace.proxy.upstream import Attempt, UpstreamConnection

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange
    from userspace.proxy.pool import Pool


_SECURE = frozenset(("https", "tls"))


class Forward:
    """The endpoint's side of one exchange, from the first pick to its end; `exchange` hears what came of it: `answered`
    with events, or `unanswered` once with the failure that no further try follows.

    The defaults stand in the class and not in __init__: making one is part of every request's cost.
    """

    tries: Tries | None = None
    endpoint: Endpoint | None = None
    pool: "Pool | None" = None
    circuit: Circuit | None = None  # once this request counts there
    attempt: Attempt | None = None
    upstream: UpstreamConnection | None = None
    sent = False  # some of the request may have reached an endpoint
    heard = False  # some of a response has come
    reused = False  # `upstream` served others before
    sent_at = 0.0
    tried_at: float | None = None  # while the picker is to be told of the try's end
    upstream_ms = 0.0
    connecting_since: float | None = None
    connect_ms: float | None = None  # of this try
    header_ms: float | None = None
    failed_tries: tuple[Try, ...] = ()

    def __init__(self, exchange: "Exchange", route: CompiledRoute, compiled: CompiledUpstream, key: str) -> None:
        """`key`: what the picker is given."""
        self.exchange = exchange
        self.shared = exchange.shared
        self.compiled = compiled
        self.route = route
        self.key = key
        self.timeout = route.timeout_with(compiled)
        self.read_ticks = self.shared.wheel.ticks(self.timeout.read)

    # What the exchange calls.

    def begin(self, endpoint: Endpoint | None) -> None:
        """Send the request to `endpoint`, or wherever else `compiled` says should that fail."""
        compiled = self.compiled
        if endpoint is None or compiled.upstream is None:
            self._no_endpoint()
            return
        self.endpoint = self.exchange.request.endpoint = endpoint
        self.connect_ms = None
        if compiled.picker.wants_feedback:
            compiled.picker.began(endpoint)
            self.tried_at = perf_counter()
        pool = self.pool = self.shared.pools.of(compiled.upstream, endpoint)
        if self.circuit is None:
            if not pool.circuit.enter():
                self.failed(failures.TOO_MANY_REQUESTS)
                return
            self.circuit = pool.circuit
        secure = None
        if (self.exchange.request.upstream_scheme or compiled.upstream.scheme) in _SECURE:
            secure = self._secure(compiled.upstream, endpoint)
            if secure is None:
                self.shared.loop.call_soon(self.failed, failures.NO_CLIENT_CERTIFICATE)
                return
        if self.tries is None or not self.tries.wants_new:
            upstream = pool.take(self.exchange.request.method not in failures.IDEMPOTENT, secure)
            if upstream is not None:
                self.shared.counters.totals["upstream_reuses"] += 1
                self._send(upstream)
                return
        if pool.is_full:
            # Not a call: hundreds of endpoints may be full, each of them a try.
            self.shared.loop.call_soon(self.failed, failures.ENDPOINT_FULL)
            return
        if not pool.circuit.may_connect():
            self.failed(failures.TOO_MANY_PENDING)
            return
        self.connecting_since = perf_counter()
        self.attempt = Attempt(self.shared, pool, self, self.shared.wheel.ticks(self.timeout.connect), secure)

    def push(self) -> None:
        """Send what has come of the body since."""
        body = self.exchange.body
        if self.upstream is not None and body is not None:
            self.upstream.write(body.take())
            self.await_endpoint()

    @property
    def is_full(self) -> bool:
        """True while the client must not send on: the endpoint is not there yet, or is slower."""
        return self.upstream is None or self.upstream.is_full

    def pause(self) -> None:
        """The client reads slower than the endpoint sends."""
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.pause_reading()
            self.upstream.deadline = 0

    def resume(self) -> None:
        """The client reads again."""
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.resume_reading()
            self.await_endpoint()

    def await_endpoint(self) -> None:
        """Set the deadline for the endpoint's next move; none while it is the client's."""
        upstream = self.upstream
        if upstream is None:
            return
        if upstream.is_full:
            self.shared.wheel.set(upstream, self.shared.wheel.ticks(self.timeout.send))
        elif self.exchange.is_complete and not self.exchange.client.is_full:
            self.shared.wheel.set(upstream, self.read_ticks)
        else:
            upstream.deadline = 0

    def release(self) -> None:
        """The response is complete: the connection may serve others, if the request is complete too."""
        upstream, self.upstream = self.upstream, None
        assert upstream is not None
        self.upstream_ms += (perf_counter() - self.sent_at) * 1000
        if self.tried_at is not None:
            self._try_over(perf_counter() - self.tried_at)
        if self.exchange.is_complete:
            upstream.release()
        else:
            upstream.abort()

    def hand_over(self) -> None:
        """The response is complete, and the node carries the connection from here on."""
        upstream, self.upstream = self.upstream, None
        self.upstream_ms += (perf_counter() - self.sent_at) * 1000
        if self.tried_at is not None:
            self._try_over(perf_counter() - self.tried_at)
        if upstream is not None:
            upstream.abort()

    def drop(self) -> None:
        """Nobody waits for the endpoint any more."""
        if self.tried_at is not None:
            self._try_over(None)
        if self.attempt is not None:
            self.attempt.cancel()
            self.attempt = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            self.upstream_ms += (perf_counter() - self.sent_at) * 1000
            upstream.abort()

    def over(self) -> None:
        """The exchange is over."""
        if self.circuit is not None:
            self.circuit.leave()
            self.circuit = None

    # What the attempt and the upstream connection call.

    def connected(self, upstream: UpstreamConnection) -> None:
        """A new connection is open."""
        if upstream.secure is None and self.proxy_header:
            upstream.write([self.proxy_header])
        self._send(upstream)
        self.exchange.client.update_reading()

    @property
    def proxy_header(self) -> bytes:
        """What a new connection begins with, in the clear: whose it is."""
        version = self.compiled.upstream.proxy_protocol if self.compiled.upstream is not None else 0
        if not version:
            return b""
        peer = self.exchange.client.peer
        return header(version, Ends(peer.address, peer.port, peer.server_address, peer.server_port))

    def flow_changed(self) -> None:
        """The endpoint began or ceased to read slower than the client sends."""
        self.await_endpoint()
        self.exchange.client.update_reading()

    def answered(self, events: list[Event]) -> None:
        """Pass on what the endpoint answered."""
        if events:  # less than a head is nothing that the client could have seen
            self.heard = True
        try:
            self.exchange.answered(events)
        except Exception as error:
            end_broken(self.exchange, error)

    def failed(self, error: LbError) -> None:
        """The endpoint could not be reached, or its connection failed before the response was complete."""
        if self.exchange.is_over:
            return
        self.exchange.error = error
        self.shared.counters.error(error.source.value, error.kind)
        if self.compiled.passive is not None:
            self._saw_failure(error)
        before = self.upstream_ms
        if self.connecting_since is not None:
            self.upstream_ms += (perf_counter() - self.connecting_since) * 1000
            self.connecting_since = None
        self.drop()
        if failures.status_of(error) != 503 and self.exchange.answer is None and self.pool is not None:
            spent = self.upstream_ms - before
            self.failed_tries += (Try(self.pool.address, failures.status_of(error), spent, self.connect_ms),)
        if not self._tries_again(error):
            status = failures.status_of(error)
            if self.compiled.passive is not None:
                self._saw_refusal(self.compiled.passive, error, status)
            self.exchange.unanswered(status)

    # Passive checks: what the checker is told.

    def saw(self, status: int) -> None:
        """The final head of the response has come."""
        ms = self.header_ms = (perf_counter() - self.sent_at) * 1000
        if self.compiled.passive is not None and self.compiled.upstream is not None and self.pool is not None:
            self.shared.observations.answered(self.compiled.upstream, self.pool.address, status, ms)

    def _saw_failure(self, error: LbError) -> None:
        code = code_of(error)
        if (
            code is not None
            and not failures.is_stale(error, self.reused)
            and self.pool is not None
            and self.compiled.upstream is not None
        ):
            self.shared.observations.failed(self.compiled.upstream, self.pool.address, code)

    def _saw_refusal(self, passive: Passive, error: LbError, status: int) -> None:
        """The client gets a status of ours for it: as APISIX does, count that against the endpoint as well."""
        if code_of(error) is None or self.exchange.answer is not None:
            return
        if status in passive.limits.unhealthy_statuses and self.pool is not None and self.compiled.upstream is not None:
            self.shared.observations.failed(self.compiled.upstream, self.pool.address, status)

    # Deciding and sending.

    def _no_endpoint(self) -> None:
        error, status = self.exchange.error, self.compiled.refusal
        if error is None:
            error = self.exchange.error = failures.NO_ENDPOINT
            self.shared.counters.error(error.source.value, error.kind)
        else:  # all were tried: the last failure tells more than that
            status = failures.status_of(error)
        self.exchange.unanswered(status)

    def _secure(self, upstream: Upstream, endpoint: Endpoint) -> Secure | None:
        """What the connection has to be secured with: the name is that of the Host that goes out, as APISIX has it."""
        request, shared = self.exchange.request, self.shared
        try:
            context = shared.client_contexts.of(upstream)
        except ContextError as error:
            shared.on_trouble(str(error))
            return None
        return Secure(context, server_name(request.upstream_host or host_for(request.head, upstream, endpoint)))

    def _pick(self, tried: Set[Endpoint]) -> Endpoint | None:
        stick = self.exchange.stick
        return self.compiled.picker.pick(tried, self.key) if stick is None else stick.pick(tried, self.key)

    def _try_over(self, seconds: float | None) -> None:
        assert self.endpoint is not None
        self.tried_at = None
        self.compiled.picker.ended(self.endpoint, seconds)

    def _send(self, upstream: UpstreamConnection) -> None:
        compiled, endpoint, exchange = self.compiled, self.endpoint, self.exchange
        assert compiled.upstream is not None and endpoint is not None
        self.upstream = upstream
        self.reused = upstream.served > 0
        now = self.sent_at = perf_counter()
        self.connect_ms = 0.0 if self.connecting_since is None else (now - self.connecting_since) * 1000
        request, body = exchange.request, exchange.body
        offered = None
        if exchange.head.upgrade is not None and self.route.route.enable_websocket:
            offered = offers(exchange.head)
        upstream.assign(self, request.method, offered)
        head = endpoint_head(request, compiled.upstream, endpoint, offered)
        self.connecting_since = None
        self.sent = True
        upstream.write([head] if body is None else [head, *body.take_all()])
        self.await_endpoint()

    def _tries_again(self, error: LbError) -> bool:
        endpoint, exchange = self.endpoint, self.exchange
        if self.heard or endpoint is None:
            return False
        if exchange.body is not None and not exchange.body.is_replayable:
            return False
        if self.tries is None:
            self.tries = Tries(self.compiled, exchange.request.method, self._pick)
        if not self.tries.allow(error, endpoint, self.sent, self.reused, perf_counter() - exchange.begun):
            return False
        # A stale connection's request did nothing: it costs the budget nothing either.
        repeats = self.sent and not self.tries.wants_new
        if repeats and self.circuit is not None and not self.circuit.may_repeat(perf_counter()):
            self.shared.counters.totals["retries_denied"] += 1
            return False
        self.reused = False
        self.shared.counters.totals["retries"] += 1
        self.begin(self.tries.next())
        return True
