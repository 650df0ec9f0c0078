"""HTTP/1.1 and 1.0 (RFC 9112), sans-io: bytes in, events out.

Both parsers stop behind each message: with EndOfMessage the list ends, whatever else was fed, and later bytes are kept
unread until `resume()`. So one request is answered before the next is looked at, and a caller that stops reading its
socket while a message awaits resume() bounds what a pipelining client can make us keep.

A refusal is a ProtocolError; bytes after it are ignored. Fed are `bytes` objects: bodies are passed on without a copy
where they can be.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from userspace.http.chunked import ChunkedDecoder
from userspace.http.events import (
    CHUNKED,
    END_OF_MESSAGE,
    UNTIL_CLOSE,
    Body,
    EndOfMessage,
    Event,
    ProtocolError,
)
from userspace.http.grammar import BAD_BYTE, bad_byte, bad_request_line, bad_status_line
from userspace.http.head import RequestHeadReader, ResponseHeadReader
from userspace.http.limits import DEFAULT_LIMITS, Limits
from userspace.http.upgrade import takes_up

_HEAD, _COUNTED, _CHUNKED, _UNTIL_CLOSE, _STOPPED, _OVER = range(6)

_LINE_EXTRA: Final = 32  # what a request line holds beside its target: any known method, a version, blanks


class _MessageParser(ABC):
    """What requests and responses share: heads that come in pieces, bodies, stopping behind a message."""

    __slots__ = ("_decoder", "_held", "_left", "_limits", "_line_seen", "_refusal", "_state")

    def __init__(self, limits: Limits, refusal: int) -> None:
        self._limits = limits
        self._refusal = refusal
        self._state = _HEAD
        self._held = b""  # the beginning of a head, or what is unread behind a message
        self._line_seen = False
        self._left = 0
        self._decoder: ChunkedDecoder | None = None

    @property
    def unread(self) -> int:
        """Bytes kept behind a finished message."""
        return len(self._held) if self._state == _STOPPED else 0

    @property
    def is_idle(self) -> bool:
        """True between messages, when nothing of the next one has come."""
        return not self._held and self._state in (_HEAD, _STOPPED)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises ProtocolError."""
        try:
            if self._state == _HEAD:
                return self._feed_head(data)
            return self._feed_body(data, 0, [])
        except ProtocolError:
            self._state = _OVER
            self._held = b""
            raise

    def take_unread(self) -> bytes:
        """Return and forget the bytes behind a finished message: what follows an upgrade is not HTTP."""
        unread, self._held = self._held, b""
        return unread

    @abstractmethod
    def _feed_head(self, data: bytes) -> list[Event]: ...

    @abstractmethod
    def _refuse_first_line(self, lines: bytes) -> None: ...

    @abstractmethod
    def _too_large(self, data: bytes) -> ProtocolError: ...

    def _find_end(self, data: bytes, seen: int) -> int:
        """Return where the head at the beginning of `data` ends, or 0 when it is not complete. `seen` bytes of it were
        looked at before. What is wrong already is refused now: the rest may never come."""
        limits = self._limits
        end = data.find(b"\r\n\r\n", max(0, seen - 3)) + 4
        if end > 3:
            if end > limits.max_head_bytes:
                raise self._too_large(data)
            return end
        found = BAD_BYTE.search(data, max(0, seen - 1))
        if found is not None:
            raise bad_byte(self._refusal, found.group()[0])
        if not self._line_seen:
            if b"\r\n" in data:
                self._line_seen = True
                self._refuse_first_line(data)
            elif len(data) > limits.max_target_bytes + _LINE_EXTRA:
                raise self._too_large(data)
        if len(data) > limits.max_head_bytes:
            raise self._too_large(data)
        self._held = data
        return 0

    def _begin_body(self, body: int | None, data: bytes, end: int, events: list[Event]) -> list[Event]:
        self._held = b""
        self._line_seen = False
        if body == 0:
            return self._finish(END_OF_MESSAGE, data, end, events)
        if body is CHUNKED:
            self._state = _CHUNKED
            self._decoder = ChunkedDecoder(self._limits, self._refusal)
        elif body == UNTIL_CLOSE:
            self._state = _UNTIL_CLOSE
        else:
            self._state = _COUNTED
            self._left = body
        return self._feed_body(data, end, events) if end < len(data) else events

    def _feed_body(self, data: bytes, start: int, events: list[Event]) -> list[Event]:
        if not data:
            return events
        state = self._state
        if state == _COUNTED:
            end = start + self._left
            if end > len(data):
                self._left = end - len(data)
                events.append(Body(_rest(data, start)))
                return events
            events.append(Body(data[start:end] if start or end < len(data) else data))
            return self._finish(END_OF_MESSAGE, data, end, events)
        if state == _CHUNKED:
            decoder = self._decoder
            assert decoder is not None
            decoded, end = decoder.feed(data, start)
            if decoded:
                events.append(Body(decoded))
            if decoder.done:
                self._decoder = None
                trailers = decoder.trailers
                return self._finish(EndOfMessage(trailers) if trailers else END_OF_MESSAGE, data, end, events)
        elif state == _UNTIL_CLOSE:
            events.append(Body(_rest(data, start)))
        elif state == _STOPPED:
            if len(self._held) + len(data) > self._limits.max_unread_bytes:
                raise ProtocolError(self._refusal, "too many bytes ahead of their turn")
            self._held += data
        return events

    def _finish(self, event: EndOfMessage, data: bytes, end: int, events: list[Event]) -> list[Event]:
        events.append(event)
        self._state = _STOPPED
        if end < len(data):
            self._held = data[end:]
        return events


def _rest(data: bytes, start: int) -> bytes:
    # Not a slice of the whole: compiled to C that copies, where the interpreter does not.
    return data[start:] if start else data


class RequestParser(_MessageParser):
    """Parses the requests of one client connection."""

    __slots__ = ("_blank_seen", "_last", "_reader")

    def __init__(self, limits: Limits = DEFAULT_LIMITS, allows_connect: bool = False) -> None:
        super().__init__(limits, 400)
        self._reader = RequestHeadReader(limits, allows_connect)
        self._blank_seen = False
        self._last = False

    def resume(self) -> list[Event]:
        """Go on to the next request, after EndOfMessage and once the caller is ready for it; the events of what came
        meanwhile. After a request with keep_alive False nothing more comes. Raises ProtocolError."""
        if self._state != _STOPPED:
            return []
        held, self._held = self._held, b""
        self._blank_seen = False
        self._state = _OVER if self._last else _HEAD
        return self.feed(held) if held else []

    def eof(self) -> None:
        """The client will send no more. Raises ProtocolError 400 in the middle of a request."""
        if self._state not in (_STOPPED, _OVER) and not self.is_idle:
            raise ProtocolError(400, "request ends early")

    def _feed_head(self, data: bytes) -> list[Event]:
        seen = len(self._held)
        if seen:
            data = self._held + data
        # RFC 9112 section 2.2: one empty line before a request is an old client's slip, not a request.
        if data.startswith(b"\r\n") and not self._blank_seen:
            self._blank_seen = True
            self._held = b""
            data, seen = data[2:], 0
        if not data:
            return []
        end = self._find_end(data, seen)
        if not end:
            return []
        head = self._reader.read(data if end == len(data) else data[:end])
        self._last = not head.keep_alive
        return self._begin_body(head.body, data, end, [head])

    def _refuse_first_line(self, lines: bytes) -> None:
        error = bad_request_line(lines)
        if error is not None:
            raise error

    def _too_large(self, data: bytes) -> ProtocolError:
        limit = self._limits.max_target_bytes + _LINE_EXTRA
        if data.find(b"\r\n", 0, limit + 2) < 0:
            return ProtocolError(414, "request target is too long")
        return ProtocolError(431, "head is too large")


class ResponseParser(_MessageParser):
    """Parses the responses of one upstream connection. `method` is that of the request that the first one answers,
    `offered` the value of its Upgrade. Behind a 101, and behind a 2xx to CONNECT, what is unread is no HTTP."""

    __slots__ = ("_interim", "_method", "_offered", "_reader", "_reusable")

    def __init__(self, limits: Limits = DEFAULT_LIMITS, method: str = "GET", offered: bytes | None = None) -> None:
        super().__init__(limits, 502)
        self._reader = ResponseHeadReader(limits)
        self._method = method
        self._offered = offered
        self._interim = 0
        self._reusable = False

    @property
    def is_reusable(self) -> bool:
        """True behind a complete response that left the connection open and nothing unread on it."""
        return self._reusable and self._state == _STOPPED and not self._held

    def expect(self, method: str, offered: bytes | None = None) -> None:
        """Be ready for the response to the next request. Call only while `is_reusable`."""
        self._method = method
        self._offered = offered
        self._interim = 0
        self._reusable = False
        self._state = _HEAD

    def eof(self) -> list[Event]:
        """The upstream closed. Return the EndOfMessage that this is, if it is one.

        Raises ProtocolError 502 in the middle of a response, and where one was due (`is_idle` still tells them apart).
        """
        if self._state == _UNTIL_CLOSE:
            return self._finish(END_OF_MESSAGE, b"", 0, [])
        if self._state in (_STOPPED, _OVER):
            return []
        raise ProtocolError(502, "connection closed before a response" if self.is_idle else "response ends early")

    def _feed_head(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        seen = len(self._held)
        if seen:
            data = self._held + data
        while data:
            end = self._find_end(data, seen)
            if not end:
                break
            head = self._reader.read(data if end == len(data) else data[:end], self._method)
            events.append(head)
            if head.status >= 200:
                self._reusable = head.keep_alive and not (self._method == "CONNECT" and head.status < 300)
                return self._begin_body(head.body, data, end, events)
            if head.status == 101:
                if not takes_up(head, self._offered):
                    raise ProtocolError(502, "101 to what was not offered")
                return self._begin_body(0, data, end, events)
            self._interim += 1
            if self._interim > self._limits.max_interim_responses:
                raise ProtocolError(502, "too many interim responses")
            data, seen = data[end:], 0
            self._held = b""
            self._line_seen = False
        return events

    def _refuse_first_line(self, lines: bytes) -> None:
        error = bad_status_line(lines)
        if error is not None:
            raise error

    def _too_large(self, data: bytes) -> ProtocolError:
        return ProtocolError(502, "head is too large")


def serialize_request_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an HTTP/1.1 request head. The fields are written as given (see headers.request_fields)."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode("ascii"), target, lines)


def serialize_response_head(status: int, reason: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an HTTP/1.1 response head. The fields are written as given (see headers.response_fields)."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)
