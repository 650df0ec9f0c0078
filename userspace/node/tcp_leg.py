"""One TCP socket of ours as a splice needs it: read to the byte, muted, ended without a packet.

TCP_REPAIR (Linux 3.5; CAP_NET_ADMIN) shows a connected socket's sequence numbers, and a socket that is closed in it
sends neither FIN nor RST. What arrives for one is acknowledged all the same, so legs are muted first: a socket filter
drops before TCP sees a segment, and its sender repeats it, to the splice by then. Every function raises OSError.
"""

import array
import ctypes
import fcntl
import os
import socket
import struct
import termios
from dataclasses import dataclass
from enum import IntFlag
from ipaddress import ip_address

from userspace.net import plain_address

ESTABLISHED = 1
_libc = ctypes.CDLL(None, use_errno=True)
_NO_ADDRESS = bytes(16)  # struct sockaddr of AF_UNSPEC
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_TIMESTAMP = 19, 20, 21, 24
NO_QUEUE, RECEIVE_QUEUE, SEND_QUEUE = 0, 1, 2
_TCP_INFO, _TCP_ULP, _TCP_IS_MPTCP = 11, 31, 43
_REPAIR_ON, _REPAIR_OFF_SILENTLY = 1, -1
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
# struct tcp_info as far as it is read: state, options, both shifts, snd_mss, unacked, bytes_received, notsent_bytes,
# snd_wnd, rcv_wnd (6.2; 0 before)
_INFO = struct.Struct("=B4xBBx8xI4xI100xQ8xI80xII")
# Classic BPF, (code, jt, jf, k): the packet begins at the TCP header.
_NOTHING = ((0x06, 0, 0, 0),)
_PURE_ACKS = (
    (0x30, 0, 0, 13),  # A = flags
    (0x45, 8, 0, 0x01),  # FIN: drop
    (0x30, 0, 0, 12),
    (0x74, 0, 0, 4),
    (0x64, 0, 0, 2),  # A = length of the header
    (0x07, 0, 0, 0),  # X = A
    (0x80, 0, 0, 0),  # A = length of the segment
    (0x1C, 0, 0, 0),  # A -= X
    (0x15, 0, 1, 0),  # payload: drop
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
)


class Option(IntFlag):
    """tcpi_options, the bits that matter here."""

    TIMESTAMPS = 1
    SACK = 2
    WSCALE = 4
    ECN = 8
    SYN_DATA = 32
    MICROSECONDS = 64  # of the timestamps (6.14)


@dataclass(frozen=True, slots=True)
class Leg:
    """A socket at one moment. Sequence numbers are as on the wire: receive_next is what we expect, send_next where the
    next byte written will be. window: bytes that the peer takes. unread, unacked: bytes in our queues. clock: our
    TSval. send_scale: the shift of windows that we receive, receive_scale of those that we send."""

    local: tuple[str, int]
    peer: tuple[str, int]
    state: int
    options: int
    send_scale: int
    receive_scale: int
    mss: int
    window: int
    receive_window: int
    unread: int
    unacked: int
    received: int
    receive_next: int
    send_next: int
    clock: int
    upper: str
    is_mptcp: bool

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.peer[0]

    @property
    def is_routed(self) -> bool:
        """False for addresses that a router does not carry."""
        addresses = [ip_address(name[0]) for name in (self.local, self.peer)]
        return not any(address.is_loopback or address.is_link_local for address in addresses)


def read(sock: socket.socket, peer: tuple[str, int] | None = None) -> Leg:
    """Return a connected socket's state; it has to be in repair. `peer`: whom it talks to, when a TOA answers that
    question with another address."""
    info = _INFO.unpack(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO.size).ljust(_INFO.size, b"\0"))
    state, options, scales, _, _, received, _, window, receive_window = info
    return Leg(
        local=_named(sock.getsockname()),
        peer=_named(peer or sock.getpeername()),
        state=state,
        options=options,
        send_scale=scales & 15,
        receive_scale=scales >> 4,
        mss=sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG),  # in repair: what the peer announced
        window=window,
        receive_window=receive_window,
        unread=_queued(sock, termios.FIONREAD),
        unacked=_queued(sock, termios.TIOCOUTQ),
        received=received,
        receive_next=_sequence(sock, RECEIVE_QUEUE),
        send_next=_sequence(sock, SEND_QUEUE),
        clock=_word(sock.getsockopt(socket.IPPROTO_TCP, TCP_TIMESTAMP)),
        upper=_upper(sock),
        is_mptcp=_is_mptcp(sock),
    )


def is_as_read(sock: socket.socket, leg: Leg) -> bool:
    """Return whether nothing has arrived since, by a look that needs no repair."""
    state, _, _, _, _, received, *_ = _INFO.unpack(
        sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO.size).ljust(_INFO.size, b"\0")
    )
    return (state, received) == (leg.state, leg.received)


def sent_up_to(sock: socket.socket) -> int:
    """Return where the next byte written would be."""
    enter_repair(sock)
    try:
        return _sequence(sock, SEND_QUEUE)
    finally:
        leave_repair(sock)


def enter_repair(sock: socket.socket) -> None:
    """From here on it sends nothing, whatever ends it."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_ON)


def leave_repair(sock: socket.socket) -> None:
    """Back to work, without a packet."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_OFF_SILENTLY)
    # Repair takes the listener's SO_REUSEADDR away: another listener on the port could not be bound beside this one.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def mute(sock: socket.socket, acks: bool = False) -> None:
    """Drop what arrives, or all but pure acknowledgements, before TCP sees it: unacknowledged, so it is repeated."""
    program = _PURE_ACKS if acks else _NOTHING
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def unmute(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def leave_to_splice(sock: socket.socket) -> None:
    """Make of a leg what keeps its addresses and ports taken and does nothing else, alive or dead."""
    mute(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    enter_repair(sock)


def vanish(sock: socket.socket) -> None:
    """End the connection here without a packet, whoever else has the socket open, and close."""
    enter_repair(sock)
    _disconnect(sock)
    sock.close()


def abort(sock: socket.socket) -> None:
    """End the connection with a RST, whoever else has the socket open, and close."""
    _disconnect(sock)
    sock.close()


def _disconnect(sock: socket.socket) -> None:
    if _libc.connect(sock.fileno(), _NO_ADDRESS, len(_NO_ADDRESS)) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))


def _named(name: tuple[str, int]) -> tuple[str, int]:
    """Return address and port; an IPv4 peer of a socket for both families under its own name."""
    return plain_address(name[0]), name[1]


def _sequence(sock: socket.socket, queue: int) -> int:
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    number = sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    # With the send queue chosen, what an acknowledgement lets out would count as sent and not be.
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE)
    return _word(number)


def _queued(sock: socket.socket, which: int) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), which, size)
    return size[0]


def _upper(sock: socket.socket) -> str:
    """Return the name of the protocol that has taken the socket over, "tls" say, or ""."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, _TCP_ULP, 16).rstrip(b"\0").decode("ascii", "replace")
    except OSError:  # a kernel without any
        return ""


def _is_mptcp(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.IPPROTO_TCP, _TCP_IS_MPTCP))
    except OSError:  # before 5.16 an accepted MPTCP socket was none to getsockopt
        return False


def _word(number: int) -> int:
    return number & 0xFFFFFFFF
