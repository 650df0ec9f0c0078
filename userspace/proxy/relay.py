"""The response on its way to the client: what its head becomes, how its body is framed, what filters make of it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from userspace.http.chunked import encode_chunk, encode_end
from userspace.http.events import CHUNKED, UNTIL_CLOSE, EndOfMessage, Headers, ResponseHead
from userspace.http.framing import may_have_body, relayed_body
from userspace.http.headers import response_fields
from userspace.http.http1 import serialize_response_head
from userspace.plugins.response import Observer, Response, Transform
from userspace.proxy.own_answer import debug_fields
from userspace.proxy.replies import REASONS
from userspace.proxy.upstream_status import upstream_status, upstream_statuses

if TYPE_CHECKING:
    from userspace.proxy.exchange import Exchange


class Relay:
    """Made for the final head of one response. `status` is what the client gets; `keep_alive` whether its connection
    can go on after it."""

    __slots__ = ("_coder", "_framing", "_is_silent", "_observers", "_transforms", "keep_alive", "status")

    def __init__(self, exchange: "Exchange", answer: ResponseHead, out: list[bytes]) -> None:
        """Write the head to `out`."""
        request = exchange.head
        self._transforms: list[Transform] = []
        self._observers: list[Observer] = []
        self._coder: Transform | None = None
        framed = answer
        if exchange.run is not None and exchange.run.changes_answers:
            framed = self._filtered(exchange, answer)
        self.status = framed.status
        # A plugin may have changed the method or the status, so that the endpoint sends what the client must not get.
        self._is_silent = not may_have_body(request.method, framed.status) and not exchange.is_switching
        framing = self._framing = relayed_body(request.version, framed.body)
        # An answer ahead of the request's end: what is left of the body would have to be read and thrown away.
        self.keep_alive = (
            exchange.is_complete and framing != UNTIL_CLOSE and exchange.client.may_keep_alive(request.keep_alive)
        )
        fields = response_fields(framed, request, framing, self.keep_alive, exchange.shared.dates.value)
        if exchange.stick is not None:
            fields = exchange.stick.answer(fields, exchange.request.endpoint)
        fields += upstream_status(exchange, answer.status)
        fields += debug_fields(exchange)
        head = serialize_response_head(framed.status, framed.reason, fields)
        exchange.head_bytes = len(head)
        out.append(head)

    def body(self, data: bytes, out: list[bytes]) -> None:
        """Write some of the body."""
        for transform in self._transforms:
            data = transform(data, False)
        self._write(data, out, False)

    def end(self, event: EndOfMessage, out: list[bytes]) -> None:
        """Write the end of the body."""
        if self._transforms or self._coder is not None:
            data = b""
            for transform in self._transforms:
                data = transform(data, True)
            self._write(data, out, True)
        if self._framing is CHUNKED and not self._is_silent:
            out.append(encode_end(list(event.trailers)))

    def drop(self) -> None:
        """No more comes: what filters keep of the body goes, without waiting for the garbage collector."""
        self._transforms.clear()
        self._coder = None

    def _write(self, data: bytes, out: list[bytes], is_last: bool) -> None:
        if self._is_silent:
            return
        if data:
            for observer in self._observers:
                observer(data)
        if self._coder is not None:
            data = self._coder(data, is_last)
        if not data:
            return
        if self._framing is CHUNKED:
            out += encode_chunk(data)
        else:
            out.append(data)

    def _filtered(self, exchange: "Exchange", answer: ResponseHead) -> ResponseHead:
        run = exchange.run
        assert run is not None
        response = Response(answer.status, answer.headers, False, upstream_statuses(exchange, answer.status))
        run.header_filter(response)
        if exchange.is_switching:
            return replace(answer, headers=response.headers)
        self._observers = response.observers
        body = answer.body
        if may_have_body(exchange.head.method, response.status):
            self._coder = response.coder()
            self._transforms = response.transforms
            if self._transforms or self._coder is not None:
                body = CHUNKED
        elif response.status in (204, 304):
            body = 0
        reason = answer.reason if response.status == answer.status else REASONS.get(response.status, b"")
        return replace(answer, status=response.status, reason=reason, headers=response.headers, body=body)


def interim(answer: ResponseHead, exchange: "Exchange", out: list[bytes]) -> None:
    """Write a 1xx head, if the client knows such (RFC 9110 section 15.2)."""
    request = exchange.head
    if request.version == "1.1":
        fields: Headers = response_fields(answer, request, 0, True)
        out.append(serialize_response_head(answer.status, answer.reason, fields))
