"""The body of one request on its way to an endpoint: framed, bounded, and kept a while in case it is sent again."""

from userspace.http.chunked import encode_chunk, encode_end
from userspace.http.events import Headers

REPLAY_BYTES = 64 << 10
"""Of a body already sent, at most this much is kept in case an idempotent request has to be sent again."""


class RequestBody:
    """Pieces come in with `add` and `end`, and go out with `take` and, on another connection, `take_all`. `size`: bytes
    that came in, without framing."""

    __slots__ = ("_chunked", "_end", "_most_kept", "_pending", "_sent", "_sent_bytes", "kept", "size")

    def __init__(self, chunked: bool) -> None:
        self.size = 0
        self.kept: bytearray | None = None
        self._most_kept = 0
        self._chunked = chunked
        self._end = b""  # what is still to be sent behind the last piece
        self._pending: list[bytes] = []
        self._sent: list[bytes] = []
        self._sent_bytes = 0

    @property
    def is_replayable(self) -> bool:
        """True while all that was sent could be sent again."""
        return self._sent_bytes <= REPLAY_BYTES

    def add(self, data: bytes) -> None:
        """Take some of the body."""
        self.size += len(data)
        self._pending.append(data)
        if self.kept is not None and len(self.kept) < self._most_kept:
            self.kept += data[: self._most_kept - len(self.kept)]

    def end(self, trailers: Headers) -> None:
        """The body is complete. Only a chunked one has trailers."""
        if self._chunked:
            self._end = encode_end(trailers)

    def keep(self, most: int) -> None:
        """Have the first `most` bytes in `kept`, also after they were sent. Only before the first `take`."""
        self._most_kept = most
        self.kept = bytearray(self.whole()[:most])

    def whole(self) -> bytes:
        """All that came, without framing. Only before the first `take`."""
        if len(self._pending) > 1:
            self._pending = [b"".join(self._pending)]
        return self._pending[0] if self._pending else b""

    def take(self) -> list[bytes]:
        """Return the pieces that were not sent yet; they count as sent now."""
        pieces, self._pending = self._pending, []
        if self._chunked:
            pieces = [part for piece in pieces for part in encode_chunk(piece)]
            if self._end:
                pieces.append(self._end)
                self._end = b""
        self._sent_bytes += sum(map(len, pieces))
        if self.is_replayable:
            self._sent += pieces
        else:
            self._sent.clear()
        return pieces

    def take_all(self) -> list[bytes]:
        """Return every piece from the first on, for a new connection. Only while `is_replayable`."""
        sent = list(self._sent)
        return sent + self.take()
