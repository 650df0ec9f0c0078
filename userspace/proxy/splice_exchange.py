"""The end of a response is when a connection can be handed over: what is left to write waits for the node's answer."""

from typing import TYPE_CHECKING, Final

from userspace.http.footprint import Guard
from userspace.proxy.splice_guard import guard_for
from userspace.proxy.splicing import Answer

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange
    from userspace.proxy.forward import Forward
    from userspace.proxy.upstream import UpstreamConnection

_PASSING: Final = frozenset(("busy", "epoch"))
"""Refusals that say nothing about the next request."""


def offer(exchange: "Exchange", forward: "Forward", tail: list[bytes]) -> bool:
    """Offer the connection to the node, once it has served as many requests as its `splice_at` says; True: `tail`, the
    last bytes of the response, is taken care of.

    One that can not be spliced is looked at again when it has served twice as many. Of one that came back, what its
    first request was decided on is told anyway: likely others ask for the same.
    """
    client, splicing, upstream = exchange.client, exchange.shared.splicing, forward.upstream
    if splicing is None or upstream is None or exchange.route is None or exchange.route.splice != "auto":
        return False
    request = client.served + 1
    is_due = 0 < client.splice_at <= request
    if not is_due and not (client.backs and request == 1):
        return False
    key = splicing.key
    if key is None:
        return False
    if is_due:
        client.splice_at = 2 * request
    guard = guard_for(exchange, forward, upstream, key)
    if guard is None:
        return False
    splicing.cover(guard)
    return is_due and _Held(exchange, forward, upstream, tail).ask(guard)


class _Held:
    """The last bytes of one response."""

    __slots__ = ("_exchange", "_forward", "_tail", "_upstream")

    def __init__(
        self, exchange: "Exchange", forward: "Forward", upstream: "UpstreamConnection", tail: list[bytes]
    ) -> None:
        self._exchange = exchange
        self._forward = forward
        self._upstream = upstream
        self._tail = tail

    def ask(self, guard: Guard) -> bool:
        exchange, upstream = self._exchange, self._upstream
        client, splicing, compiled = exchange.client, exchange.shared.splicing, exchange.compiled
        if splicing is None or compiled is None or compiled.upstream is None or exchange.route is None:
            return False
        transports = [each for each in (client.transport, upstream.transport) if each is not None]
        stick = exchange.stick
        question = {
            "tail": sum(map(len, self._tail)),
            "route": exchange.route.route.id,
            "upstream": compiled.upstream.id,
            "endpoint": upstream.pool.address,
            "client": client.facts,
            "log": exchange.shared.logged(
                exchange.revision, upstream.pool.endpoint.vpc_id, stick.state if stick is not None else None
            ),
        }
        fds = [transport.get_extra_info("socket").fileno() for transport in transports]
        for transport in transports:
            transport.pause_reading()
        if not splicing.ask(question, guard, fds, self._answered):
            for transport in transports:
                transport.resume_reading()
            return False
        client.is_held = True
        # Neither side can do anything to the response any more: it is whole.
        upstream.deadline = 0
        upstream.forward = None
        return True

    def _answered(self, answer: Answer, reason: str) -> None:
        exchange, forward, upstream = self._exchange, self._forward, self._upstream
        client = exchange.client
        if exchange.is_over:
            return
        if answer is not Answer.REFUSED:
            # Also when the node is gone: it may have done its part before, and then the endpoint's connection must
            # never serve anybody else. If it has not, both end cleanly behind a whole response.
            exchange.splice = "guarded"
            client.write(self._tail)
            forward.hand_over()
            exchange.finish()
            client.exchange = None
            client.hand_over()
            return
        if reason not in _PASSING:
            client.splice_at = 0
        upstream.forward = forward
        if upstream.transport is not None:
            upstream.transport.resume_reading()
        exchange.respond(forward, self._tail)
