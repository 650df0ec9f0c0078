"""One request and its response: decided by pure code, carried by two connections, counted and logged exactly once.

The phases, in order: match -> rewrite -> access -> forward (pick, send; again where allowed) -> header_filter ->
body_filter -> log. What plugins do in them is `run`'s, what happens toward endpoints `forward`'s, what the client gets
of a response `relay`'s. Everything runs in callbacks of the two connections and of a timer; nothing here waits.
"""

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from userspace.balancer.picker import NONE
from userspace.config.compiled import CompiledRoute, CompiledUpstream
from userspace.errors import LbError
from userspace.http.body_variables import BodyWanted
from userspace.http.events import CHUNKED, Body, EndOfMessage, Event, Headers, ProtocolError, RequestHead, ResponseHead
from userspace.http.framing import is_tunnel
from userspace.http.headers import may_go_on, request_trailers
from userspace.http.request import Request
from userspace.plugins.chain import EMPTY as NO_PLUGINS
from userspace.plugins.outcome import Reply
from userspace.plugins.run import Run
from userspace.proxy import failures
from userspace.proxy.deciding import Deciding
from userspace.proxy.forward import Forward
from userspace.proxy.giving_up import refused_for_length
from userspace.proxy.hash_sticks import stick_of
from userspace.proxy.own_answer import error_answer, plugin_answer
from userspace.proxy.record import CLIENT_CLOSED, record
from userspace.proxy.relay import Relay, interim
from userspace.proxy.replies import CONTINUE, ROUTE_NOT_FOUND
from userspace.proxy.request_body import RequestBody
from userspace.proxy.splice_exchange import offer
from userspace.proxy.stick import Stick
from userspace.proxy.tunnel import Tunnel

if TYPE_CHECKING:
    from userspace.proxy.connection import ClientConnection


class Exchange:
    """From a request head to the log line; then `is_over`.

    The defaults stand in the class and not in __init__: most exchanges change few of them, and making an exchange is
    part of every request's cost.
    """

    route: CompiledRoute | None = None
    compiled: CompiledUpstream | None = None
    stick: Stick | None = None
    body: RequestBody | None = None
    run: Run | None = None  # None: no plugin has anything to do with it
    deciding: Deciding | None = None
    forward: Forward | None = None
    answer: ResponseHead | None = None  # as the endpoint gave it
    relay: Relay | None = None
    sent: Headers | None = None  # the fields as the client sent them, where they may have been changed since
    splice: str | None = None  # how the node carries the connection from here on
    tunnel: Tunnel | None = None
    error: LbError | None = None
    is_complete = False  # the whole request has come
    is_switching = False  # a tunnel follows the answer
    is_over = False
    inspects_body = False  # it is decided by the body, which has not all come yet
    status = 0
    head_bytes = 0  # of the final answer

    def __init__(self, client: "ClientConnection", head: RequestHead) -> None:
        self.begun = perf_counter()
        self.client = client
        self.shared = client.shared
        self.head: RequestHead = head
        self.request: Request = Request(head, client.peer)
        self.keep_alive = head.keep_alive
        self.revision = client.shared.router.snapshot.revision

    # What the client connection calls.

    def request_body(self, data: bytes) -> None:
        """Take some of the body; `push` sends it."""
        if self.body is None:
            self.body = RequestBody(self.head.body is CHUNKED)
        self.body.add(data)

    def request_end(self, event: EndOfMessage) -> None:
        """The request is complete."""
        self.is_complete = True
        if self.head.body is CHUNKED:
            if self.body is None:
                self.body = RequestBody(True)
            self.body.end(request_trailers(event.trailers))

    def begin(self) -> None:
        """Decide. Called once, with what came of the body in the same read already taken, and once more when the
        decision had to wait for more of it."""
        router = self.shared.router
        request = self.request
        if router.certificates.forbids(request):
            self._reply(400, "400 Bad Request")
            return
        try:
            if self.shared.real_ip is not None:
                self.shared.real_ip.apply(request)
            if self.shared.path_rules is not None:
                self.shared.path_rules.apply(request)
            route = router.match(request)
            if route is not None and request.method == "CONNECT" and route.methods is None:
                route = None  # who wants tunnels says so
            self.route = request.route = route
            rules = router.plugins.rules
            chain = NO_PLUGINS if route is None else route.chain
            if chain.inspects_body or rules.inspects_body:
                request.wanted_body()
        except BodyWanted:
            self._inspect_body()
            return
        except ProtocolError as error:
            self._reply(error.status, f"{error.status} Bad Request: {error.reason}")
            return
        if chain is not NO_PLUGINS or rules is not NO_PLUGINS:
            self.run = Run(request, rules, chain, partial(router.plugins.for_consumer, route))
            self.deciding = Deciding(self.shared, self.run.decide(route is not None), self._decided)
            self.deciding.go_on()
        elif route is None:
            self._reply(404, ROUTE_NOT_FOUND)
        else:
            self._proceed(route)

    def push(self) -> None:
        """Send what has come of the body since."""
        if self.inspects_body:
            self._inspect_body()
        elif self.forward is not None and not refused_for_length(self):
            self.forward.push()

    @property
    def holds_body(self) -> bool:
        """True while the client must not send on."""
        if self.is_complete or self.inspects_body:
            return False
        return self.forward is None or self.forward.is_full

    def client_full(self) -> None:
        """The client reads slower than the endpoint sends."""
        if self.forward is not None:
            self.forward.pause()

    def client_ready(self) -> None:
        """The client reads again."""
        if self.forward is not None:
            self.forward.resume()

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
        if self.forward is not None:
            self.forward.drop()
        self.finish()

    # What `forward` calls.

    def answered(self, events: list[Event]) -> None:
        """Pass on what the endpoint answered."""
        out: list[bytes] = []
        forward = self.forward
        assert forward is not None
        for event in events:
            kind = type(event)
            if kind is Body:
                assert isinstance(event, Body) and self.relay is not None
                self.relay.body(event.data, out)
            elif kind is ResponseHead:
                assert isinstance(event, ResponseHead)
                if event.status == 101 and not self.is_complete:
                    forward.failed(failures.bad_response("101 ahead of the request's end"))
                    return
                self._answer_head(event, out)
            else:
                assert isinstance(event, EndOfMessage) and self.relay is not None
                if self.is_switching:
                    assert forward.upstream is not None
                    self.tunnel = Tunnel(self, forward.upstream, forward.read_ticks)
                    self.tunnel.begin(b"".join(out))
                    return
                self.relay.end(event, out)
                if self.shared.splicing is None or not offer(self, forward, out):
                    self.respond(forward, out)
                return
        forward.await_endpoint()
        self.client.write(out)

    def respond(self, forward: Forward, out: list[bytes]) -> None:
        """Write the last of the response."""
        forward.release()
        self.client.write(out)
        self.finish()
        self.client.exchange_over(self.keep_alive, self.is_complete)

    def unanswered(self, status: int) -> None:
        """No endpoint gave a whole response, for the reason in `error`, and no further one is asked."""
        if self.answer is not None:
            self.finish()
            self.client.abort()  # never a clean end: the client must see that the rest is missing
        else:
            self._reply(status, failures.text_of(status))

    # What the tunnel calls.

    def note(self, error: LbError) -> None:
        """Remember and count why it ends."""
        self.error = error
        self.shared.counters.error(error.source.value, error.kind)

    def tunnel_over(self) -> None:
        """Both connections are gone."""
        if not self.is_over:
            assert self.forward is not None
            self.forward.drop()
            self.finish()

    # Deciding.

    def _inspect_body(self) -> None:
        """Go on with the decision once the whole body is there, or is longer than what is looked at."""
        head, most = self.head, self.shared.settings.max_inspected_body_bytes
        size = self.body.size if self.body is not None else 0
        if size > most or (head.body is not CHUNKED and head.body > most):
            self.request.body = b""
        elif self.is_complete:
            self.request.body = self.body.whole() if self.body is not None else b""
        else:
            if not self.inspects_body and head.expect_continue:
                self.client.write([CONTINUE])
                self.request.remove_header(b"expect")
            self.inspects_body = True
            return
        self.inspects_body = False
        self.begin()

    def _decided(self, reply: Reply | None) -> None:
        """The plugins are through."""
        self.deciding = None
        if reply is not None:
            self.answer_with(reply)
        elif self.route is None:
            self._reply(404, ROUTE_NOT_FOUND)
        elif not refused_for_length(self):
            self._proceed(self.route)

    def _proceed(self, route: CompiledRoute) -> None:
        """Nothing speaks against it: on to an endpoint."""
        request = self.request
        if not may_go_on(self.head):
            self.answer_with(Reply(200 if self.head.method == "OPTIONS" else 501, headers=()))
            return
        if self.run is not None and self.run.keeps_body and self.head.body != 0:
            if self.body is None:
                self.body = RequestBody(self.head.body is CHUNKED)
            self.body.keep(self.run.keeps_body)
        slot = request.upstream_slot
        compiled = self.compiled = route.upstream if slot is None else slot.compiled
        key = "" if compiled.key_of is None else compiled.key_of(request)
        sticky = route.route.sticky
        if sticky is None or slot is not None:
            endpoint = compiled.picker.pick(NONE, key)
        else:
            self.sent = self.head.headers
            stick = self.stick = stick_of(sticky, compiled, request)
            endpoint = stick.pick(NONE, key)
            if stick.state == "refused":
                self.note(failures.STICK_REFUSED)
        request.endpoint = endpoint
        if self.run is not None and endpoint is not None:
            self.run.before_proxy()
        forward = self.forward = Forward(self, route, compiled, key)
        forward.begin(endpoint)

    # Answering.

    def _answer_head(self, answer: ResponseHead, out: list[bytes]) -> None:
        self.is_switching = answer.status == 101 or is_tunnel(self.head.method, answer.status)
        if answer.status < 200 and not self.is_switching:
            interim(answer, self, out)
            return
        self.answer = answer
        if self.forward is not None:
            self.forward.saw(answer.status)
        relay = self.relay = Relay(self, answer, out)
        self.status = relay.status
        self.keep_alive = relay.keep_alive

    def _reply(self, status: int, text: str) -> None:
        """Answer with an error of ours."""
        keep_alive = self.is_complete and self.client.may_keep_alive(self.head.keep_alive)
        self._finish_with(keep_alive, error_answer(self, status, text, keep_alive))

    def answer_with(self, reply: Reply) -> None:
        """Answer what a plugin says."""
        keep_alive = self.is_complete and self.client.may_keep_alive(self.head.keep_alive)
        self._finish_with(keep_alive, plugin_answer(self, reply, keep_alive))

    def _finish_with(self, keep_alive: bool, answer: tuple[int, bytes]) -> None:
        self.status, whole = answer
        self.head_bytes = whole.find(b"\r\n\r\n") + 4
        self.client.write([whole])
        self.finish()
        self.client.exchange_over(keep_alive, self.is_complete)

    # Ending.

    def finish(self) -> None:
        """Count and log it."""
        self.is_over = True
        if self.tunnel is not None:
            self.client.carried(*self.tunnel.take_bytes())
        if self.deciding is not None:
            self.deciding.cancel()
        if self.forward is not None:
            self.forward.over()
        if self.run is not None and self.relay is not None:
            self.relay.drop()
        record(self)
