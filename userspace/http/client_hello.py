"""The first message of a TLS connection, read before anything is decrypted: which server the client means.

Sans-io. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3 (server name), RFC 7301 (ALPN). What is not looked at here
(cipher suites, key shares, ...) the TLS library judges when it gets the same bytes.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_BYTES: Final = 32768
"""Of records up to the end of the message. Browsers send 0.5 to 2 KiB, with post-quantum keys and tickets 4 KiB."""

_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_MAX_RECORD: Final = 16384
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_SUPPORTED_VERSIONS: Final = 43
_MAX_NAME: Final = 255
_NAME_BYTES: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")


class ClientHelloError(ValueError):
    """The bytes begin no TLS connection. `reason` is one of "not_tls", "malformed", "too_long", "bad_server_name"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ClientHello(NamedTuple):
    """`server_name`: in lower case, without the trailing dot; "" when the client names none. `versions`: those of the
    extension, else the one of the message; 0x0304 is TLS 1.3."""

    server_name: str
    protocols: tuple[bytes, ...]
    versions: tuple[int, ...]
    session_id: bytes


class ClientHelloReader:
    """Collects a ClientHello out of its records. What was fed stays in `data`, for whoever goes on with the connection.
    Costs grow with the bytes, not with the number of pieces that they come in."""

    __slots__ = ("_at", "_message", "_seen", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self._at = 0  # where the present record begins
        self._seen = 0  # bytes of its body that are in _message already
        self._message = bytearray()

    def feed(self, data: bytes) -> ClientHello | None:
        """Return the message, or None while more is needed.

        Raises ClientHelloError, as soon as it can be known, for what is no ClientHello or takes more than MAX_BYTES.
        """
        self.data += data
        if not self._collect():
            if len(self.data) >= MAX_BYTES:
                raise ClientHelloError("too_long")
            return None
        try:
            return _read(bytes(self._message[_MESSAGE_HEADER : _MESSAGE_HEADER + self._length]))
        except IndexError:
            raise ClientHelloError("malformed") from None

    @property
    def _length(self) -> int:
        return int.from_bytes(self._message[1:_MESSAGE_HEADER], "big")

    def _collect(self) -> bool:
        """Move what has come of the message out of its records; True when it is complete."""
        data, message = self.data, self._message
        while True:
            header = data[self._at : self._at + _RECORD_HEADER]
            if not b"\x16\x03".startswith(header[:2]):
                raise ClientHelloError("malformed" if self._at else "not_tls")
            if len(header) < _RECORD_HEADER:
                return False
            size = int.from_bytes(header[3:], "big")
            if not 0 < size <= _MAX_RECORD:
                raise ClientHelloError("malformed")
            start = self._at + _RECORD_HEADER
            fresh = data[start + self._seen : start + size]
            message += fresh
            self._seen += len(fresh)
            if message and message[0] != _CLIENT_HELLO:
                raise ClientHelloError("malformed")
            if len(message) >= _MESSAGE_HEADER:
                if self._length > MAX_BYTES:
                    raise ClientHelloError("too_long")
                if len(message) >= _MESSAGE_HEADER + self._length:
                    return True
            if self._seen < size:
                return False
            self._at, self._seen = start + size, 0


class _Reader:
    """Takes vectors off a message; IndexError when it holds less than it says."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise IndexError
        self._at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """One that stands behind a length of `size` bytes."""
        return self.take(self.number(size))


def _read(message: bytes) -> ClientHello:
    reader = _Reader(message)
    version = reader.number(2)
    reader.take(32)  # random
    session_id = reader.vector(1)
    if len(session_id) > 32:
        raise ClientHelloError("malformed")
    reader.vector(2)  # cipher suites
    reader.vector(1)  # compression
    name = ""
    protocols: tuple[bytes, ...] = ()
    versions: tuple[int, ...] = (version,)
    seen: set[int] = set()
    for kind, body in _extensions(reader):
        if kind in seen:
            raise ClientHelloError("malformed")
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _server_name(_Reader(_Reader(body).vector(2)))
        elif kind == _ALPN:
            protocols = _protocols(_Reader(_Reader(body).vector(2)))
        elif kind == _SUPPORTED_VERSIONS:
            listed = _Reader(body).vector(1)
            versions = tuple(int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed), 2))
    return ClientHello(name, protocols, versions, session_id)


def _extensions(reader: _Reader) -> Iterator[tuple[int, bytes]]:
    extensions = _Reader(b"" if reader.is_empty() else reader.vector(2))  # clients of long ago have none
    if not reader.is_empty():
        raise ClientHelloError("malformed")
    while not extensions.is_empty():
        yield extensions.number(2), extensions.vector(2)


def _server_name(names: _Reader) -> str:
    """The one host name; there may be no second (RFC 6066)."""
    if names.number(1) != 0:
        raise ClientHelloError("bad_server_name")
    name = names.vector(2).lower()
    if not names.is_empty():
        raise ClientHelloError("bad_server_name")
    name = name.removesuffix(b".")
    if not 0 < len(name) <= _MAX_NAME or not _NAME_BYTES.issuperset(name):
        raise ClientHelloError("bad_server_name")
    return name.decode("ascii")


def _protocols(names: _Reader) -> tuple[bytes, ...]:
    found = []
    while not names.is_empty():
        found.append(names.vector(1))
    return tuple(found)
