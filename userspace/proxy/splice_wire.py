"""The wire to the node's splicing: datagrams of a SOCK_SEQPACKET pair, one JSON object each, with descriptors."""

import asyncio
import socket
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

MAX_BYTES: Final = 65536
MAX_DESCRIPTORS: Final = 4
READS: Final = 32
"""Datagrams that are taken in one go; the rest in the next turn of the loop."""


class SpliceWire:
    """`on_message` is called with what came and the sockets that came along, which are its own from then on; `on_end`
    when the node is gone. Never blocks: what the node does not take is not sent."""

    __slots__ = ("_loop", "_on_end", "_on_message", "_on_trouble", "_socket")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_message: Callable[[Mapping[str, Any], list[socket.socket]], None],
        on_end: Callable[[], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._socket: socket.socket | None = sock
        self._on_message = on_message
        self._on_end = on_end
        self._on_trouble = on_trouble
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._read)

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def send(self, message: Mapping[str, object], fds: Sequence[int] = ()) -> bool:
        """Send, with duplicates of `fds`; False when it can not be done now."""
        if self._socket is None:
            return False
        data = orjson.dumps(message)
        if len(data) > MAX_BYTES:
            return False
        try:
            socket.send_fds(self._socket, [data], list(fds))
        except OSError:  # full, or gone: then the reader will see it
            return False
        return True

    def close(self) -> None:
        """End it from this side; `on_end` is called."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self._on_end()

    def _read(self) -> None:
        for _ in range(READS):
            if self._socket is None:
                return
            try:
                data, fds = _receive(self._socket)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self.close()
                return
            self._take(data, [socket.socket(fileno=fd) for fd in fds])

    def _take(self, data: bytes, sockets: list[socket.socket]) -> None:
        try:
            message = orjson.loads(data)
            if not isinstance(message, dict):
                raise TypeError("not an object")
            self._on_message(message, sockets)
        except Exception as error:  # a fault in one message must not cost the wire
            self._on_trouble(f"splice wire: {type(error).__name__}: {error}")
            for sock in sockets:
                sock.close()


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Return a datagram and its descriptors; socket.recv_fds() would leave these to every child."""
    fds = array("i")
    size = socket.CMSG_SPACE(MAX_DESCRIPTORS * fds.itemsize)
    data, ancillary, _, _ = sock.recvmsg(MAX_BYTES, size, socket.MSG_CMSG_CLOEXEC)
    for level, kind, carried in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(carried[: len(carried) - len(carried) % fds.itemsize])
    return data, list(fds)
