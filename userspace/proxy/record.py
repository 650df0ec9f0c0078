"""The log phase: one exchange becomes counts and one access log line."""

from datetime import UTC, datetime
from time import perf_counter, time
from typing import TYPE_CHECKING

from userspace.http.events import ProtocolError
from userspace.plugins.summary import Summary, Try

if TYPE_CHECKING:
    from userspace.proxy.connection import ClientConnection
    from userspace.proxy.exchange import Exchange

CLIENT_CLOSED = 499
"""nginx's status for a client that went away before it was answered; appears in logs and metrics only."""


def record(exchange: "Exchange") -> None:
    """Count and log a finished exchange. Times are ms, bytes those of the client side with heads and framing."""
    client, shared, head = exchange.client, exchange.shared, exchange.head
    request_ms = (perf_counter() - exchange.begun) * 1000
    forward = exchange.forward
    upstream_ms = forward.upstream_ms if forward is not None else 0.0
    pool = forward.pool if forward is not None else None
    bytes_in, bytes_out = client.take_bytes()
    route, compiled, answer = exchange.route, exchange.compiled, exchange.answer
    route_id = route.route.id if route is not None else ""
    upstream_id = compiled.upstream.id if compiled is not None and compiled.upstream is not None else ""
    if pool is not None:
        series = shared.pools.series(pool, route_id)
    else:
        series = shared.counters.series(route_id, upstream_id, "")
    shared.counters.exchange(series, exchange.status, bytes_in, bytes_out, request_ms, upstream_ms)
    run = exchange.run
    logs = run is not None and run.logs
    if logs or shared.log_format is not None:
        seen = forward.failed_tries if forward is not None else ()
        if (
            seen
            and forward is not None
            and pool is not None
            and (answer is not None or exchange.status == CLIENT_CLOSED)
        ):
            spent = sum(one.ms for one in seen)
            status = answer.status if answer is not None else None
            seen += (Try(pool.address, status, upstream_ms - spent, forward.connect_ms, forward.header_ms),)
        exchange.request.summary = Summary(
            status=exchange.status,
            started=time() - request_ms / 1000,
            request_ms=request_ms,
            upstream_ms=upstream_ms,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            head_bytes=exchange.head_bytes,
            upstream_address=pool.address if pool is not None else None,
            upstream_status=answer.status if answer is not None else None,
            error=exchange.error.kind if exchange.error is not None else None,
            is_ours=answer is None,
            connect_ms=forward.connect_ms if forward is not None else None,
            header_ms=forward.header_ms if forward is not None else None,
            tries=seen,
        )
    if run is not None and logs:
        if exchange.body is not None and exchange.body.kept is not None and exchange.request.body is None:
            exchange.request.body = bytes(exchange.body.kept)
        run.log(exchange.request.summary)
    stick = exchange.stick
    if stick is not None:
        sticky = shared.counters.sticky
        sticky[stick.state] = sticky.get(stick.state, 0) + 1
    if not shared.log.enabled:
        return
    if shared.log_format is not None:
        shared.log.write_line(shared.log_format.line(exchange.request))
        return
    endpoint, error = exchange.request.endpoint, exchange.error
    spliced = {} if exchange.splice is None else {"splice": exchange.splice}
    tries = forward.tries if forward is not None else None
    shared.log.write(
        {
            "time": datetime.now(UTC),
            "client": exchange.request.remote_addr,
            "method": head.method,
            "host": head.host,
            "path": head.target.decode("ascii"),
            "status": exchange.status,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "request_ms": round(request_ms, 3),
            "upstream_address": pool.address if pool is not None else None,
            "upstream_ms": round(upstream_ms, 3) if pool is not None else None,
            "upstream_status": answer.status if answer is not None else None,
            "route": route_id or None,
            "upstream": upstream_id or None,
            "endpoint": endpoint.address if endpoint is not None else None,
            "vpc_id": endpoint.vpc_id if endpoint is not None else None,
            "sticky": stick.state if stick is not None else None,
            "retries": tries.count if tries is not None else 0,
            "error": error.kind if error is not None else None,
            "error_source": error.source.value if error is not None else None,
            "revision": exchange.revision,
            **spliced,
        }
    )


def record_refusal(client: "ClientConnection", error: ProtocolError) -> None:
    """Count and log bytes that never became a request: there is no method, host or path that could be trusted."""
    shared = client.shared
    bytes_in, bytes_out = client.take_bytes()
    shared.counters.exchange(shared.unserved, error.status, bytes_in, bytes_out, 0.0, 0.0)
    shared.log.write(
        {
            "time": datetime.now(UTC),
            "client": client.peer.address,
            "status": error.status,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "error": error.reason,
            "error_source": "client",
            "revision": shared.router.snapshot.revision,
        }
    )
