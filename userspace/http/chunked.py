"""The chunked coding (RFC 9112 section 7.1): httptools decodes it; a guard bounds it and finds where it ends."""

import re
from typing import Final

import httptools

from userspace.http.events import Headers, ProtocolError
from userspace.http.grammar import BAD_BYTE, TRAILERS, bad_byte, why_not_trailers
from userspace.http.limits import Limits

LAST_CHUNK: Final = b"0\r\n\r\n"

# Extensions are bounded and never passed on. A line ends at CRLF in every grammar and no control may stand in it, so
# quoted strings need no rule of their own.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")

# A head that puts httptools where a chunked body begins, whatever the real head was (an Upgrade would end it there).
_PRIMER = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

# Trailer fields that a recipient could take for framing, routing or authority (RFC 9110 section 6.5.1).
_NO_TRAILER = frozenset(
    b"authorization connection content-encoding content-length content-range content-type cookie expect host"
    b" keep-alive proxy-authorization proxy-connection set-cookie te trailer transfer-encoding upgrade".split()
)


def encode_chunk(data: bytes) -> list[bytes]:
    """Return `data` (not empty) as one chunk, in pieces for writelines: the data is not copied."""
    return [b"%x\r\n" % len(data), data, b"\r\n"]


def encode_end(trailers: Headers | tuple[()] = ()) -> bytes:
    """Return the last chunk with the trailer section."""
    if not trailers:
        return LAST_CHUNK
    return b"".join((b"0\r\n", *[b"%b: %b\r\n" % pair for pair in trailers], b"\r\n"))


class _Sink:
    """What httptools calls. It does not know the parser, so that no reference cycle outlives a connection."""

    __slots__ = ("pieces", "on_body", "trailers", "primed", "ended")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.trailers: Headers = []
        self.primed = False
        self.ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.primed:
            self.trailers.append((name, value.rstrip(b" \t")))

    def on_message_complete(self) -> None:
        self.ended = True


class ChunkedDecoder:
    """Decodes one chunked body. `status` is that of its refusals: 400 for a request, 502 for a response.

    `done` turns True with the end of the trailer section; `trailers` are complete then.
    """

    __slots__ = (
        "done",
        "trailers",
        "_limits",
        "_status",
        "_sink",
        "_parser",
        "_held",
        "_left",
        "_excess",
        "_total",
        "_in_trailers",
    )

    def __init__(self, limits: Limits, status: int) -> None:
        self.done = False
        self._limits = limits
        self._status = status
        self._sink = _Sink()
        self._parser = httptools.HttpRequestParser(self._sink)
        self._parser.feed_data(_PRIMER)
        self._sink.primed = True
        self.trailers = self._sink.trailers
        self._held = b""  # the beginning of a chunk line or of the trailer section, still to be read
        self._left = 0  # data of this chunk and its CRLF still to come; 0 where a line begins
        self._excess = 0
        self._total = 0
        self._in_trailers = False

    def feed(self, data: bytes, start: int = 0) -> tuple[bytes, int]:
        """Return (decoded bytes, offset in `data` of the first byte that is not of this body).

        Raises ProtocolError for a chunk size or line end that is not exact, for a chunk line, a sum of framing bytes
        or a trailer section beyond its limit, for a trailer field that could change what the message means, and 413
        (502 from an upstream) for more data than `max_body_bytes`.
        """
        held = len(self._held)
        if held:
            data = self._held + (data[start:] if start else data)
            start, held = 0, held - start
        end = self._scan(data, start)
        sink = self._sink
        try:
            self._parser.feed_data(data if end - start == len(data) else memoryview(data)[start:end])
        except httptools.HttpParserError as error:
            raise ProtocolError(self._status, f"bad chunked body: {error}") from None
        if sink.ended is not self.done:
            raise ProtocolError(self._status, "bad chunked body: where it ends is in dispute")
        after = end + len(self._held) - held
        pieces = sink.pieces
        if not pieces:
            return b"", after
        decoded = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return decoded, after

    def _scan(self, data: bytes, position: int) -> int:
        """Walk the framing without decoding; return how far httptools may read. A line or trailer section that is not
        complete is held back from it. The CRLF after a chunk's data is left to httptools, which insists on it."""
        self._held = b""
        size = len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
            elif self._in_trailers:
                return self._scan_trailers(data, position)
            else:
                end = data.find(b"\n", position) + 1
                if (end or size) - position > self._limits.max_chunk_line_bytes:
                    raise ProtocolError(self._status, "chunk line is too long")
                if not end:
                    self._held = data[position:]
                    break
                self._begin_chunk(data[position:end])
                position = end
        return position

    def _begin_chunk(self, line: bytes) -> None:
        if line[-2:] != b"\r\n":
            raise ProtocolError(self._status, "bare LF in chunk line")
        matched = _CHUNK_LINE.fullmatch(line, 0, len(line) - 2)
        if matched is None:
            raise ProtocolError(self._status, "bad chunk size")
        size = int(matched.group(1), 16)
        if size == 0:
            self._in_trailers = True
            return
        self._left = size + 2
        self._total += size
        limits = self._limits
        if 0 < limits.max_body_bytes < self._total:
            raise ProtocolError(413 if self._status == 400 else self._status, "body is too large")
        self._excess = max(0, self._excess + len(line) + 2 - 16 - 2 * size)
        if self._excess > limits.max_chunk_overhead_bytes:
            raise ProtocolError(self._status, "too much chunk framing for little data")

    def _scan_trailers(self, data: bytes, position: int) -> int:
        limits = self._limits
        section = data[position : position + limits.max_trailer_bytes + 1]
        end = 2 if section.startswith(b"\r\n") else section.find(b"\r\n\r\n") + 4
        if end == 3:
            found = BAD_BYTE.search(section)
            if found is not None:
                raise bad_byte(self._status, found.group()[0])
            if len(section) > limits.max_trailer_bytes:
                raise ProtocolError(431 if self._status == 400 else self._status, "trailers are too large")
            self._held = section
            return position
        section = section[:end]
        if TRAILERS.fullmatch(section) is None:
            raise why_not_trailers(self._status, section)
        lines = section.split(b"\r\n")[:-2]
        if end > limits.max_trailer_bytes or len(lines) > limits.max_headers:
            raise ProtocolError(431 if self._status == 400 else self._status, "trailers are too large")
        for line in lines:
            name = line[: line.index(b":")].lower()
            if name in _NO_TRAILER:
                raise ProtocolError(self._status, f"trailer {name.decode('ascii')} is not allowed")
        self.done = True
        return position + end
