"""A client that does not wait for an answer before it asks on: requests on one connection, answers in their order."""

import socket
from collections.abc import Iterable, Iterator
from itertools import islice


class Answers:
    """Reads answers with a Content-Length off a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unread = b""

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        parts, missing = [self._unread[:size]], size - len(self._unread)
        self._unread = self._unread[size:]
        while missing > 0:
            data = self._some()
            parts.append(data[:missing])
            self._unread = data[missing:]
            missing -= len(data)
        return b"".join(parts)

    def head(self) -> tuple[int, int]:
        """Return the next answer's status and the length of its body."""
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._some()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        [length] = [int(field.partition(b":")[2]) for field in fields if field.lower().startswith(b"content-length:")]
        return int(line.split()[1]), length

    def next(self) -> tuple[int, bytes]:
        status, length = self.head()
        return status, self.read(length)

    def _some(self) -> bytes:
        data = self._sock.recv(65536)
        assert data, "the connection was closed"
        return data


def asking(host: str, target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def pipelined(sock: socket.socket, host: str, targets: Iterable[str], ahead: int) -> Iterator[tuple[int, bytes]]:
    """Yield the answers; so many requests are always under way, each in a segment of its own."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers, coming, waiting = Answers(sock), iter(targets), 0
    while True:
        for target in islice(coming, ahead - waiting):
            sock.sendall(asking(host, target))
            waiting += 1
        if not waiting:
            return
        yield answers.next()
        waiting -= 1
