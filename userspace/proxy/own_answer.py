"""Answers that no endpoint gave: those of plugins, and errors. Filters see them as they see any other."""

import os
from typing import TYPE_CHECKING

from userspace.http.framing import may_have_body
from userspace.plugins.outcome import FAILED, Reply
from userspace.plugins.response import Response
from userspace.proxy.endpoint_head import asks_for_revision
from userspace.proxy.replies import SERVER, compose, reply
from userspace.proxy.upstream_status import upstream_status, upstream_statuses

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange


def error_answer(exchange: "Exchange", status: int, text: str, keep_alive: bool) -> tuple[int, bytes]:
    """Return (status, whole response) of an error of ours, in APISIX's form."""
    if exchange.run is not None and exchange.run.changes_answers:
        return plugin_answer(exchange, Reply.json(status, {"error_msg": text}), keep_alive)
    lines = [b"%b: %b\r\n" % field for field in (*upstream_status(exchange), *debug_fields(exchange))]
    fields = exchange.shared.dates.line + b"".join(lines)
    return status, reply(status, text, keep_alive, exchange.head.method == "HEAD", fields)


def plugin_answer(exchange: "Exchange", answer: Reply, keep_alive: bool) -> tuple[int, bytes]:
    """Return (status, whole response) of what a plugin answers."""
    date = (b"Date", exchange.shared.dates.value)
    response = Response(answer.status, [SERVER, date, *answer.headers], True, upstream_statuses(exchange))
    body = answer.body
    if exchange.run is not None:
        try:
            exchange.run.header_filter(response)
            for transform in response.transforms:
                body = transform(body, True)
            for observer in response.observers:
                observer(body)
            coder = response.coder() if may_have_body(exchange.head.method, response.status) else None
            if coder is not None:
                body = coder(body, True)
        except Exception as error:
            exchange.shared.failed_within(error)
            response, body = Response(500, [SERVER, date, *FAILED.headers], True), FAILED.body
    headers = [*response.headers, *upstream_status(exchange), *debug_fields(exchange)]
    return response.status, compose(response.status, headers, body, keep_alive, exchange.head.method == "HEAD")


def debug_fields(exchange: "Exchange") -> list[tuple[bytes, bytes]]:
    """What a client that asks for it may know: which configuration decided, and in which worker."""
    if not asks_for_revision(exchange.head.headers):
        return []
    return [(b"X-Unilb-Revision", b"%d" % exchange.revision), (b"X-Unilb-Worker", b"%d" % os.getpid())]
