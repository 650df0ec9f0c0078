"""TCP connections of a client that keeps no rule: every segment is made by scapy, whatever its sender wants in it.

They come from ports of their own, for which the client machine's kernel has no socket; its resets are filtered out.
"""

import contextlib
import functools
import itertools
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from tests.netns.observe import CLIENT
from userspace.lab import enter
from userspace.lab.exec import run
from userspace.lab.lab import Lab

PORTS = range(20000, 30000)  # below the range that the kernel gives away
_ports = itertools.cycle(PORTS)  # of all clients: the gateway may still have what an earlier one left open
MARK = 0x5CA9
MOD = 1 << 32
WINDOW = 512
FIN, SYN, RST, ACK = 1, 2, 4, 16
REPEAT_SECONDS = 0.3
TABLE = f"""add table inet hostile
add chain inet hostile f {{ type filter hook output priority 0; }}
add rule inet hostile f meta mark != {MARK} tcp sport {PORTS.start}-{PORTS.stop - 1} tcp flags & rst == rst drop
"""


@dataclass(frozen=True)
class Piece:
    """A segment: `at` bytes behind what the endpoint has of this connection. `ack`, `clock`: added to what they should
    be. `checksum`: None for the right one, or what is added to it; "open": the pseudo header's alone."""

    at: int
    data: bytes
    flags: str = "PA"
    ack: int = 0
    clock: int | None = 0
    checksum: int | str | None = None
    urgent: int = 0
    ttl: int = 64
    options: tuple[tuple[object, object], ...] = ()
    pause: float = 0  # seconds before it


@dataclass(eq=False)
class Connection:
    """One connection: numbers are the next byte's. `received`: all the bytes that came, in order."""

    port: int
    to: str
    seq: int
    rcv: int = 0
    acked: int = 0
    echo: int = 0
    is_open: bool = False
    is_ended: bool = False
    is_reset: bool = False
    received: bytearray = field(default_factory=bytearray)

    def segment(self, piece: Piece) -> bytes:
        clock = int(time.monotonic() * 1000) + (piece.clock or 0)
        options = list(piece.options)
        if piece.clock is not None:
            options = [("NOP", None), ("NOP", None), ("Timestamp", (clock % MOD, self.echo)), *options]
        tcp = TCP(
            sport=self.port,
            dport=80,
            seq=(self.seq + piece.at) % MOD,
            ack=(self.rcv + piece.ack) % MOD if "A" in piece.flags else 0,
            flags=piece.flags,
            window=WINDOW,
            urgptr=piece.urgent,
            options=options,
        )
        made = IP(src=CLIENT, dst=self.to, ttl=piece.ttl) / tcp / Raw(piece.data)
        if piece.checksum is None:
            return bytes(made)
        whole = IP(bytes(made))
        if piece.checksum == "open":
            ends = socket.inet_aton(CLIENT) + socket.inet_aton(self.to)
            words = struct.unpack("!6H", ends + struct.pack("!2H", 6, len(whole[TCP])))
            total = sum(words)
            total = (total & 0xFFFF) + (total >> 16)
            whole[TCP].chksum = (total & 0xFFFF) + (total >> 16)
        else:
            whole[TCP].chksum = (whole[TCP].chksum + int(piece.checksum)) & 0xFFFF
        return bytes(whole)

    def take(self, flags: int, seq: int, ack: int, echo: int, data: bytes) -> bool:
        """Take a segment in; True when it is to be acknowledged."""
        if flags & RST:
            self.is_reset = True
            return False
        if flags & ACK and (ack - self.acked) % MOD < MOD // 2:
            self.acked = ack
        if flags & SYN:
            self.rcv, self.echo, self.is_open = (seq + 1) % MOD, echo, True
            return True
        if seq == self.rcv:
            self.received += data
            self.rcv = (self.rcv + len(data) + (flags & FIN)) % MOD
            self.echo = echo
            self.is_ended |= bool(flags & FIN)
        return bool(data or flags & FIN)


class HostileClient:
    """Makes connections from the client machine to port 80 of `to`; sends and takes in one thread."""

    def __init__(self, lab: Lab, to: str) -> None:
        self._to = to
        self._connections: dict[int, Connection] = {}
        made: list[socket.socket] = []

        def inside() -> None:
            enter.enter_netns(str(lab.netns("client")))
            protocols = (socket.IPPROTO_RAW, socket.IPPROTO_TCP)
            made.extend(socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) for protocol in protocols)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        self._out, self._in = made
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        self._in.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self._in.setblocking(False)
        self.sent = 0

    def close(self) -> None:
        self._out.close()
        self._in.close()

    def connect(self, count: int) -> list[Connection]:
        """Open so many connections; all of them are open on return."""
        made = []
        for port in itertools.islice(_ports, count):
            first = (port * 7919) % MOD
            self._connections[port] = connection = Connection(port, self._to, first, acked=first)
            made.append(connection)
        options = (("MSS", 1460), ("SAckOK", b""), ("WScale", 7))

        def opening(connection: Connection) -> None:
            if not connection.is_open:
                self.send(connection, Piece(0, b"", "S", options=options))

        self.until(made, opening, lambda connection: connection.is_open)
        for connection in made:
            connection.seq = (connection.seq + 1) % MOD
            connection.acked = connection.seq
            self.send(connection, Piece(0, b"", "A"))
        return made

    def ask(self, connections: Sequence[Connection], request: bytes, is_answered: Callable[[bytes], bool]) -> None:
        """Send a request on each, repeat it until it is answered as expected."""
        starts = {connection: len(connection.received) for connection in connections}

        def asking(connection: Connection) -> None:
            self.send(connection, Piece(0, request))

        self.until(connections, asking, lambda c: is_answered(bytes(c.received[starts[c] :])))
        for connection in connections:
            connection.seq = (connection.seq + len(request)) % MOD

    def until(
        self, connections: Sequence[Connection], act: Callable[[Connection], None], done: Callable[[Connection], bool]
    ) -> None:
        """Act on each, and again from time to time on those that are not done, until all are."""
        deadline = time.monotonic() + 60
        left = list(connections)
        while left:
            assert time.monotonic() < deadline, f"{len(left)} of {len(connections)} connections do not go on: {left[0]}"
            for connection in left:
                act(connection)
            self.pump(REPEAT_SECONDS, functools.partial(_all, left, done))
            left = [connection for connection in left if not done(connection)]

    def send(self, connection: Connection, piece: Piece) -> None:
        if piece.pause:
            self.pump(piece.pause)
        self.sent += 1
        self._out.sendto(connection.segment(piece), (self._to, 0))
        if self.sent % 4 == 0:
            self.pump(0)

    def pump(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Take in, and acknowledge, whatever comes within so many seconds, or until it is enough."""
        deadline = time.monotonic() + seconds
        while True:
            if not select.select([self._in], [], [], max(0, min(0.02, deadline - time.monotonic())))[0]:
                if time.monotonic() >= deadline or enough():
                    return
                continue
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._take(self._in.recv(65536))
            if enough():
                return

    def _take(self, packet: bytes) -> None:
        start = (packet[0] & 15) * 4
        _, port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", packet, start)
        connection = self._connections.get(port)
        if connection is None:
            return
        end = start + (offset >> 4) * 4
        at = packet.find(b"\x08\x0a", start + 20, end)
        echo = struct.unpack_from("!I", packet, at + 2)[0] if at >= 0 else connection.echo
        if connection.take(flags, seq, ack, echo, packet[end:]) and connection.is_open:
            shift = 1 if flags & SYN else 0  # its own number is taken by its SYN, until connect() says so
            self.sent += 1
            self._out.sendto(connection.segment(Piece(shift or self._behind(connection), b"", "A")), (self._to, 0))

    def _behind(self, connection: Connection) -> int:
        """How much of what was sent has been acknowledged: an ACK stands behind that."""
        return (connection.acked - connection.seq) % MOD if (connection.acked - connection.seq) % MOD < MOD // 2 else 0


def _all(connections: Sequence[Connection], done: Callable[[Connection], bool]) -> bool:
    return all(done(connection) for connection in connections)


@contextlib.contextmanager
def hostile_client(lab: Lab, to: str) -> Iterator[HostileClient]:
    """A hostile client, and the filter that keeps the kernel out of its way."""
    run(lab, "client", ["nft", "-f", "-"], stdin=TABLE)
    client = HostileClient(lab, to)
    try:
        yield client
    finally:
        client.close()
        run(lab, "client", ["nft", "delete", "table", "inet", "hostile"])
