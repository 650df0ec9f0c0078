"""Exchanges that end otherwise than they began to: for a body that is too long, for a filter that raised."""

from typing import TYPE_CHECKING

from userspace.errors import LbError, Retry, Source
from userspace.plugins.page import page
from userspace.proxy import failures

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange


def refused_for_length(exchange: "Exchange") -> bool:
    """Answer 413 when more of the body has come than a plugin allows; where an answer is on its way, end with it.

    False: it may go on.
    """
    body, most = exchange.body, exchange.request.max_body_bytes
    if body is None or not 0 < most < body.size:
        return False
    client, has_answer = exchange.client, exchange.answer is not None
    exchange.note(failures.BODY_TOO_LARGE)
    if has_answer:
        exchange.fail_client(413, failures.BODY_TOO_LARGE)
        client.abort()
        return True
    if exchange.forward is not None:
        exchange.forward.drop()
    exchange.answer_with(page(413))
    return True


def end_broken(exchange: "Exchange", error: Exception) -> None:
    """A filter raised while an answer passed through it: the client must take it neither for whole nor for right."""
    exchange.shared.failed_within(error)
    if not exchange.is_over:
        exchange.fail_client(500, LbError("filter", Source.INTERNAL, Retry.NEVER, str(error)))
        exchange.client.abort()
