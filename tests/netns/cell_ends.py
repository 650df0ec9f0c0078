"""The ends of transfers between cells: servers, clients, and the errors that their kernels count."""

import hashlib
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.netns.cells import PLACES, inside

WEB, VPC_WEB, ECHO = 80, 8080, 53
PIECE = 1 << 16
# What must not grow: file below /proc/net, protocol there, counter.
COUNTERS = (
    ("snmp", "Tcp:", "InCsumErrors"),
    ("snmp", "Udp:", "InCsumErrors"),
    ("netstat", "TcpExt:", "PAWSEstab"),
    ("netstat", "TcpExt:", "OutOfWindowIcmps"),
)


@dataclass
class Server:
    """Ends that answer: TCP tells the digest of what it got and sends as much back; UDP echoes."""

    size: int

    def __post_init__(self) -> None:
        self.body = os.urandom(PIECE) * (self.size // PIECE)
        self.sockets: list[socket.socket] = []

    def listen(self, place: str, address: str) -> None:
        with inside(place):
            listener = socket.create_server(
                (address, WEB), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=64
            )
        self.sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def echo(self, place: str, address: str) -> None:
        with inside(place):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, ECHO))
        self.sockets.append(sock)
        threading.Thread(target=self._echo, args=(sock,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(received(connection, self.size).digest())
            connection.sendall(self.body)

    def _echo(self, sock: socket.socket) -> None:
        while True:
            try:
                data, source = sock.recvfrom(2048)
                sock.sendto(data, source)
            except OSError:
                return

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def received(connection: socket.socket, size: int) -> "hashlib._Hash":
    """Take `size` bytes, or as many as come, and return their hash."""
    digest = hashlib.sha256()
    while size and (piece := connection.recv(min(size, PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest


def transfer(place: str, to: tuple[str, int], server: Server) -> None:
    """Send the server's size of bytes and take as many back; both digests must agree."""
    body = os.urandom(PIECE) * (server.size // PIECE)
    with inside(place):
        connection = socket.create_connection(to, timeout=60)
    with connection:
        connection.sendall(body)
        told = connection.recv(32, socket.MSG_WAITALL)
        assert told == hashlib.sha256(body).digest(), f"what {to} got is not what was sent"
        assert received(connection, server.size).digest() == hashlib.sha256(server.body).digest()


def asked(place: str, to: tuple[str, int], questions: list[bytes]) -> bool:
    """Send datagrams, each when the one before has been answered; return whether every answer was its question."""
    with inside(place):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(5)
        for question in questions:
            sock.sendto(question, to)
            if sock.recv(65536) != question:
                return False
    return True


def counters() -> dict[str, int]:
    """Return what must not grow, of every machine."""
    found = {}
    for place in PLACES:
        with inside(place):
            for file, protocol, name in COUNTERS:
                lines = [line.split() for line in Path(f"/proc/thread-self/net/{file}").read_text().splitlines()]
                names, values = [line for line in lines if line[0] == protocol]
                found[f"{place} {protocol} {name}"] = int(values[names.index(name)])
            pairs = (line.split() for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines())
            found[f"{place} Udp6"] = int(dict(pairs)["Udp6InCsumErrors"])
    return found
