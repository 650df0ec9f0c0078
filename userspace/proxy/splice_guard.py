"""May the node carry what follows on this connection? And if so, what later requests have to be compared with.

A decision of the worker that the kernel can not repeat, or an effect that it can not have, keeps a connection here.
"""

from typing import TYPE_CHECKING, Final

from control.model.upstream import Upstream
from userspace.config.compiled import CompiledUpstream
from userspace.http.footprint import (
    COOKIE,
    NOTHING,
    PEER,
    PORT,
    Footprint,
    Guard,
    Key,
    guard_of,
    of_header,
    union,
)
from userspace.proxy.tls_stream import TlsStream

if TYPE_CHECKING:
    import asyncio

    from userspace.config.compiled import CompiledRoute
    from userspace.http.request import Peer
    from userspace.proxy.exchange import Exchange
    from userspace.proxy.forward import Forward
    from userspace.proxy.shared import Shared
    from userspace.proxy.upstream import UpstreamConnection

_COUNTED: Final = frozenset(("OPTIONS", "TRACE", "CONNECT"))  # Max-Forwards is ours to count down
_STANDING: Final = frozenset(("valid", "none"))  # of hashing modes: the same client gets the same endpoint


def guard_for(exchange: "Exchange", forward: "Forward", upstream: "UpstreamConnection", key: Key) -> Guard | None:
    """Return what guards a connection whose response is complete and all but its last bytes written; None when later
    requests can not go by it."""
    client, route, compiled = exchange.client, exchange.route, exchange.compiled
    if route is None or compiled is None or compiled.upstream is None or client.transport is None:
        return None
    if not (_goes_on(exchange, forward, upstream) and _is_untouched(exchange, compiled.upstream)):
        return None
    if not (may_splice(exchange.shared, compiled) and _may_guard(exchange.shared, compiled)):
        return None
    if not is_direct(client.transport, client.peer, exchange.shared):
        return None
    # Decided by what is in force now, or by what is no more?
    if exchange.revision != exchange.shared.router.snapshot.revision or route.upstream is not compiled:
        return None
    footprint = footprint_of(exchange, route, compiled)
    if footprint is None:
        return None
    peer = client.peer
    decided = [route.route.id, compiled.upstream.id]
    if compiled.key_of is not None or exchange.stick is not None:
        # Else the picker had the choice, and a connection that keeps its endpoint is as good as any. Which endpoint a
        # path leads to may be another after any change of the upstream: nothing that was covered before is still.
        decided += [upstream.pool.address, str(key.edition)]
    if footprint.mask & PEER:
        decided += [peer.address, peer.server_address, str(peer.server_port)]
    if footprint.mask & PORT:
        decided += [peer.address, str(peer.port)]
    headers = exchange.sent if exchange.sent is not None else exchange.head.headers
    return guard_of(key, exchange.head, headers, footprint, decided)


def footprint_of(exchange: "Exchange", route: "CompiledRoute", compiled: CompiledUpstream) -> Footprint | None:
    """Return on what of a request all of its decision depended: route, plugins, endpoint."""
    router = exchange.shared.router
    parts = [router.footprint(exchange.request, route), compiled.footprint, _of_stick(exchange)]
    if exchange.run is not None:
        parts += [router.plugins.rules.footprint, route.chain.footprint]
    return union(parts)


def may_splice(shared: "Shared", compiled: CompiledUpstream) -> bool:
    """False where somebody counts the connections that this would make invisible."""
    upstream = compiled.upstream
    return (
        upstream is not None
        and not shared.settings.max_connections_per_client
        and not upstream.limits.connections
        and not upstream.limits.requests
        and not compiled.picker.wants_feedback
    )


def is_direct(transport: "asyncio.Transport", peer: "Peer", shared: "Shared") -> bool:
    """True when the client is the peer of its connection, whatever a request may say."""
    if shared.real_ip is not None and shared.real_ip.believes(peer.address):
        return False
    name = transport.get_extra_info("peername")
    return name is not None and name[0] == peer.address


def are_bare(client: "asyncio.Transport", upstream: "asyncio.Transport") -> bool:
    """True when what is written to either is what the wire carries, and all of it is in the kernel."""
    return not (
        isinstance(client, TlsStream)
        or isinstance(upstream, TlsStream)
        or client.is_closing()
        or upstream.is_closing()
        or client.get_write_buffer_size()
        or upstream.get_write_buffer_size()
    )


def _goes_on(exchange: "Exchange", forward: "Forward", upstream: "UpstreamConnection") -> bool:
    """Both connections can carry another request, and nothing is under way on either."""
    client, answer = exchange.client, exchange.answer
    return (
        exchange.keep_alive
        and exchange.is_complete
        and answer is not None
        and answer.version == exchange.head.version == "1.1"
        and forward.tries is None
        and upstream.secure is None
        and upstream.parser is not None
        and upstream.parser.is_reusable
        and upstream.transport is not None
        and client.transport is not None
        and not client.parser.unread
        and are_bare(client.transport, upstream.transport)
    )


def _is_untouched(exchange: "Exchange", upstream: Upstream) -> bool:
    """The endpoint's requests are the client's."""
    request = exchange.request
    return (
        upstream.pass_host == "pass"
        and upstream.scheme == "http"
        and request.method not in _COUNTED
        and request.consumer is None
        and request.upstream_slot is None
        and request.upstream_scheme is None
    )


def _may_guard(shared: "Shared", compiled: CompiledUpstream) -> bool:
    """False where somebody wants to see every request or every answer."""
    settings = shared.settings
    return not (
        compiled.passive is not None
        or settings.max_request_body_bytes
        or settings.show_upstream_status_in_response_header
    )


def _of_stick(exchange: "Exchange") -> Footprint | None:
    """A cookie that is still to be set, taken away or learned needs us for every answer."""
    stick, route = exchange.stick, exchange.route
    if stick is None or route is None or route.route.sticky is None:
        return NOTHING
    sticky = route.route.sticky
    if sticky.mode in ("insert", "session_id"):
        return Footprint(COOKIE) if stick.state == "valid" else None
    if stick.state not in _STANDING:
        return None
    if sticky.mode == "header":
        return of_header(sticky.header)
    return Footprint(PEER) if sticky.mode in ("source_ip", "tls_session") else None
