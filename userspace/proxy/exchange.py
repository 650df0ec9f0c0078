"""One request and its response: decided by pure code, carried by two connections, counted and logged exactly once.

The phases, in order: match -> (pick -> before_proxy -> send) per try -> header_filter -> body_filter -> log.
Everything runs in callbacks of the two connections; nothing here waits.
"""

import os
from time import perf_counter
from typing import TYPE_CHECKING

from control.model.upstream import Endpoint
from userspace.config.compiled import CompiledRoute, CompiledUpstream
from userspace.errors import LbError
from userspace.http.chunked import encode_chunk, encode_end
from userspace.http.events import CHUNKED, UNTIL_CLOSE, Body, EndOfMessage, Event, RequestHead, ResponseHead
from userspace.http.framing import relayed_body
from userspace.http.headers import response_fields
from userspace.http.http1 import serialize_response_head
from userspace.proxy import failures
from userspace.proxy.record import CLIENT_CLOSED, record
from userspace.proxy.replies import ROUTE_NOT_FOUND, reply
from userspace.proxy.request import asks_for_revision, endpoint_head
from userspace.proxy.request_body import RequestBody
from userspace.proxy.stick import Stick
from userspace.proxy.tries import Tries
from userspace.proxy.upstream import Attempt, UpstreamConnection

if TYPE_CHECKING:
    from userspace.proxy.connection import ClientConnection
    from userspace.proxy.pool import Pool


class Exchange:
    """From a request head to the log line; then `is_over`.

    The defaults stand in the class and not in __init__: most exchanges change few of them, and making an exchange is
    part of every request's cost.
    """

    route: CompiledRoute | None = None
    compiled: CompiledUpstream | None = None
    stick: Stick | None = None
    tries: Tries | None = None
    body: RequestBody | None = None
    endpoint: Endpoint | None = None
    pool: "Pool | None" = None
    attempt: Attempt | None = None
    upstream: UpstreamConnection | None = None
    answer: ResponseHead | None = None
    error: LbError | None = None
    framing: int | None = 0  # of the body toward the client
    is_complete = False  # the whole request has come
    is_over = False
    sent = False  # some of the request may have reached an endpoint
    heard = False  # some of a response has come
    reused = False  # `upstream` served others before
    status = 0
    read_ticks = 0
    sent_at = 0.0
    upstream_ms = 0.0

    def __init__(self, client: "ClientConnection", head: RequestHead) -> None:
        self.begun = perf_counter()
        self.client = client
        self.shared = client.shared
        self.head = head
        self.keep_alive = head.keep_alive
        self.revision = client.shared.router.snapshot.revision

    # What the client connection calls.

    def request_body(self, data: bytes) -> None:
        """Take some of the body; `push` sends it."""
        if self.body is None:
            self.body = RequestBody(self.head.body is CHUNKED)
        self.body.add(data)

    def request_end(self) -> None:
        """The request is complete."""
        self.is_complete = True
        if self.head.body is CHUNKED:
            if self.body is None:
                self.body = RequestBody(True)
            self.body.end()

    def begin(self) -> None:
        """Decide. Called once, with what came of the body in the same read already taken."""
        head = self.head
        route = self.route = self.shared.router.match(head.host, head.path, head.method)
        if route is None:
            self._reply(404, ROUTE_NOT_FOUND)
            return
        compiled = self.compiled = route.upstream
        self.read_ticks = self.shared.wheel.ticks(route.timeout_with(compiled).read)
        sticky = route.route.sticky
        if sticky is not None:
            stick = self.stick = Stick(sticky, compiled.tokens, head)
            self._try(compiled, stick.endpoint or compiled.picker.pick())
        else:
            self._try(compiled, compiled.picker.pick())

    def push(self) -> None:
        """Send what has come of the body since."""
        if self.upstream is not None and self.body is not None:
            self.upstream.write(self.body.take())
            self._await_upstream()

    @property
    def holds_body(self) -> bool:
        """True while the client must not send on: the endpoint is not there yet, or is slower."""
        return not self.is_complete and (self.upstream is None or self.upstream.is_full)

    def client_full(self) -> None:
        """The client reads slower than the endpoint sends."""
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.pause_reading()
            self.upstream.deadline = 0

    def client_ready(self) -> None:
        """The client reads again."""
        if self.upstream is not None and self.upstream.transport is not None:
            self.upstream.transport.resume_reading()
            self._await_upstream()

    def client_gone(self) -> None:
        """The client closed or reset its connection: nobody waits for the rest."""
        self.fail_client(CLIENT_CLOSED, failures.CLIENT_GONE)

    def fail_client(self, status: int, error: LbError) -> None:
        """End without an answer of ours, counted and logged as `status`. The caller answers or closes."""
        if self.is_over:
            return
        if self.answer is None:
            self.status = status
        self.error = error
        self._drop_upstream()
        self._finish()

    # What the attempt and the upstream connection call.

    def connected(self, upstream: UpstreamConnection) -> None:
        """A new connection is open."""
        self._send(upstream)
        self.client.update_reading()

    def upstream_flow(self) -> None:
        """The endpoint began or ceased to read slower than the client sends."""
        self._await_upstream()
        self.client.update_reading()

    def answered(self, events: list[Event]) -> None:
        """Pass on what the endpoint answered."""
        out: list[bytes] = []
        self.heard = True
        for event in events:
            kind = type(event)
            if kind is Body:
                assert isinstance(event, Body)
                if self.framing is CHUNKED:
                    out += encode_chunk(event.data)
                else:
                    out.append(event.data)
            elif kind is ResponseHead:
                assert isinstance(event, ResponseHead)
                self._answer_head(event, out)
            else:
                assert isinstance(event, EndOfMessage)
                if self.framing is CHUNKED:
                    out.append(encode_end(list(event.trailers)))
                self._release_upstream()
                self.client.write(out)
                self._finish()
                self.client.exchange_over(self.keep_alive, self.is_complete)
                return
        self._await_upstream()
        self.client.write(out)

    def failed(self, error: LbError) -> None:
        """The endpoint could not be reached, or its connection failed before the response was complete."""
        if self.is_over:
            return
        self.error = error
        self.shared.counters.error(error.source.value, error.kind)
        self._drop_upstream()
        if self.answer is not None:
            self._finish()
            self.client.abort()  # never a clean end: the client must see that the rest is missing
        elif not self._tries_again(error):
            status = failures.status_of(error)
            self._reply(status, failures.text_of(status))

    # Deciding and sending.

    def _try(self, compiled: CompiledUpstream, endpoint: Endpoint | None) -> None:
        if endpoint is None or compiled.upstream is None:
            self._no_endpoint(compiled.refusal)
            return
        self.endpoint = endpoint
        pool = self.pool = self.shared.pools.of(compiled.upstream, endpoint)
        if self.tries is None or not self.tries.wants_new:
            upstream = pool.take(self.head.method not in failures.IDEMPOTENT)
            if upstream is not None:
                self.shared.counters.totals["upstream_reuses"] += 1
                self._send(upstream)
                return
        if pool.is_full:
            # Not a call: hundreds of endpoints may be full, each of them a try.
            self.shared.loop.call_soon(self.failed, failures.ENDPOINT_FULL)
            return
        assert self.route is not None
        timeout = self.route.timeout_with(compiled).connect
        self.attempt = Attempt(self.shared, pool, self, self.shared.wheel.ticks(timeout))

    def _no_endpoint(self, refusal: int) -> None:
        error = self.error
        if error is None:
            error = self.error = failures.NO_ENDPOINT
            self.shared.counters.error(error.source.value, error.kind)
        else:  # all were tried: the last failure tells more than that
            refusal = failures.status_of(error)
        self._reply(refusal, failures.text_of(refusal))

    def _send(self, upstream: UpstreamConnection) -> None:
        compiled, endpoint = self.compiled, self.endpoint
        assert compiled is not None and compiled.upstream is not None and endpoint is not None
        self.upstream = upstream
        self.reused = upstream.served > 0
        upstream.assign(self, self.head.method)
        head = endpoint_head(self.head, compiled.upstream, endpoint, self.client.peer)
        self.sent_at = perf_counter()
        self.sent = True
        upstream.write([head] if self.body is None else [head, *self.body.take_all()])
        self._await_upstream()

    def _tries_again(self, error: LbError) -> bool:
        compiled, endpoint = self.compiled, self.endpoint
        if self.heard or compiled is None or endpoint is None:
            return False
        if self.body is not None and not self.body.is_replayable:
            return False
        if self.tries is None:
            self.tries = Tries(compiled, self.head.method)
        if not self.tries.allow(error, endpoint, self.sent, self.reused, perf_counter() - self.begun):
            return False
        self.reused = False
        self.shared.counters.totals["retries"] += 1
        self._try(compiled, self.tries.next())
        return True

    def _await_upstream(self) -> None:
        """Set the deadline for the endpoint's next move; none while it is the client's."""
        upstream = self.upstream
        if upstream is None:
            return
        if upstream.is_full:
            assert self.route is not None and self.compiled is not None
            wheel = self.shared.wheel
            wheel.set(upstream, wheel.ticks(self.route.timeout_with(self.compiled).send))
        elif self.is_complete and not self.client.is_full:
            self.shared.wheel.set(upstream, self.read_ticks)
        else:
            upstream.deadline = 0

    # Answering.

    def _answer_head(self, answer: ResponseHead, out: list[bytes]) -> None:
        request = self.head
        if answer.status < 200:
            if request.version == "1.1":  # RFC 9110 section 15.2
                fields = response_fields(answer, request, 0, True)
                out.append(serialize_response_head(answer.status, answer.reason, fields))
            return
        self.answer = answer
        self.status = answer.status
        framing = self.framing = relayed_body(request.version, answer.body)
        # An answer ahead of the request's end: what is left of the body would have to be read and thrown away.
        keep_alive = self.keep_alive = (
            self.is_complete and framing != UNTIL_CLOSE and self.client.may_keep_alive(request.keep_alive)
        )
        fields = response_fields(answer, request, framing, keep_alive)
        if self.stick is not None and self.endpoint is not None:
            fields = self.stick.answer(fields, self.endpoint)
        fields += self._debug_fields()
        out.append(serialize_response_head(answer.status, answer.reason, fields))

    def _debug_fields(self) -> list[tuple[bytes, bytes]]:
        """What a client that asks for it may know: which configuration decided, and in which worker."""
        if not asks_for_revision(self.head.headers):
            return []
        return [(b"X-Unilb-Revision", b"%d" % self.revision), (b"X-Unilb-Worker", b"%d" % os.getpid())]

    def _reply(self, status: int, text: str) -> None:
        """Answer ourselves."""
        self.status = status
        client = self.client
        keep_alive = self.is_complete and client.may_keep_alive(self.head.keep_alive)
        fields = b"".join(b"%b: %b\r\n" % field for field in self._debug_fields())
        client.write([reply(status, text, keep_alive, self.head.method == "HEAD", fields)])
        self._finish()
        client.exchange_over(keep_alive, self.is_complete)

    # Ending.

    def _drop_upstream(self) -> None:
        if self.attempt is not None:
            self.attempt.cancel()
            self.attempt = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            self.upstream_ms += (perf_counter() - self.sent_at) * 1000
            upstream.abort()

    def _release_upstream(self) -> None:
        upstream, self.upstream = self.upstream, None
        assert upstream is not None
        self.upstream_ms += (perf_counter() - self.sent_at) * 1000
        if self.is_complete:
            upstream.release()
        else:
            upstream.abort()

    def _finish(self) -> None:
        self.is_over = True
        record(self)
