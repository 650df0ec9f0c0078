"""A TLS connection after its handshake: the protocol of the TCP transport below, a transport to the protocol above.

asyncio's own TLS takes 278 KiB for an idle connection and uvloop's 47, and both hide the handshake. This one keeps what
OpenSSL needs and nothing else. Back-pressure is that of the transport below: it holds ciphertext, 1 % more than the
plain bytes. What is above may pause reading at any time; then at most one read of ciphertext waits here.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast

from userspace.proxy import openssl

READ_BYTES = 16384
"""A record holds no more (RFC 8446 section 5.1), and one call of OpenSSL returns no more than one record."""


class TlsStream(asyncio.Transport, asyncio.Protocol):
    """Made over a finished handshake for `protocol`, which is told of it by whoever made it; then `begin`.

    A stream that ends without close_notify was cut, by whomever: `protocol` sees a lost connection, not an end.
    """

    __slots__ = (
        "_connection",
        "_has_ended",
        "_incoming",
        "_is_closing",
        "_is_paused",
        "_outgoing",
        "_protocol",
        "_raw",
    )

    def __init__(
        self,
        raw: asyncio.Transport,
        connection: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        protocol: asyncio.Protocol,
    ) -> None:
        self._raw = raw
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        self._protocol = protocol
        self._is_paused = False
        self._is_closing = False  # we have ended our side
        self._has_ended = False  # the peer has ended its side

    def begin(self) -> None:
        """Take over, and pass on what came behind the handshake."""
        self._raw.set_protocol(self)
        self._raw.resume_reading()
        if self._incoming.pending and not self._raw.is_closing():
            self._pump()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What the next connection to the same peer may resume."""
        return self._connection.session

    # The protocol of the transport below.

    def data_received(self, data: bytes) -> None:
        if self._has_ended:
            return
        self._incoming.write(data)
        if not self._is_paused:
            self._pump()

    def eof_received(self) -> bool:
        # Not passed on: `_pump` does that when the stream was ended inside TLS.
        return self._has_ended and not self._is_closing

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = self._is_closing = True
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # The transport of the protocol above.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def is_reading(self) -> bool:
        return not self._is_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if self._is_closing or not data:
            return
        try:
            size = self._connection.write(data)
            if size < len(data):
                rest = memoryview(data)
                while size < len(data):
                    size += self._connection.write(rest[size:])
        except ssl.SSLError:
            self._raw.abort()  # the peer broke the protocol, and the keys are gone with it
            return
        self._raw.write(self._outgoing.read())

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """End our stream; what the peer still sends is read."""
        if not self._is_closing:
            self._is_closing = True
            self._say_end()
            if not self._raw.is_closing():
                self._raw.write_eof()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._say_end()
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def pause_reading(self) -> None:
        self._is_paused = True
        if not self._raw.is_closing():
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._raw.is_closing():
            return
        self._raw.resume_reading()
        if self._incoming.pending or self._connection.pending():
            # Not a call: who resumes is in the middle of something.
            asyncio.get_running_loop().call_soon(self._go_on)

    # Within.

    def _go_on(self) -> None:
        if not self._is_paused and not self._has_ended and not self._raw.is_closing():
            self._pump()

    def _pump(self) -> None:
        """Pass on what can be decrypted."""
        connection, incoming = self._connection, self._incoming
        read: Callable[[int], bytes] = connection.read
        try:
            while True:
                data = read(READ_BYTES)
                if not data:
                    self._ended()
                    return
                self._protocol.data_received(data)
                if self._is_paused or self._has_ended:
                    break
                if not incoming.pending and not connection.pending():
                    break  # the next read would raise, which costs more than this
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._ended()
            return
        except ssl.SSLError:
            self._flush()  # the alert
            self._raw.abort()
            return
        if self._outgoing.pending:
            self._flush()  # an answer to a key update

    def _ended(self) -> None:
        """The peer has ended its stream, in due form."""
        self._has_ended = True
        if not self._protocol.eof_received():
            self.close()

    def _say_end(self) -> None:
        openssl.end(self._connection)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())
