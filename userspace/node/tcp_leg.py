"""One TCP socket of ours as a splice needs it: read to the byte, muted, closed without a packet, built anew.

TCP_REPAIR (Linux 3.5; CAP_NET_ADMIN) shows a connected socket's sequence numbers, and a socket that is closed in it
sends neither FIN nor RST. What arrives for one is acknowledged all the same, so legs are muted first: a socket filter
drops before TCP sees a segment, and its sender repeats it, to the splice by then. Every function raises OSError.
"""

import array
import ctypes
import fcntl
import socket
import struct
import termios
from dataclasses import dataclass
from enum import IntFlag
from ipaddress import ip_address

from userspace.net import plain_address

ESTABLISHED = 1
OLDER = 0x80000000  # two numbers are this far apart at most
_TCP_INFO, _TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _TCP_REPAIR_OPTIONS = 11, 19, 20, 21, 22
_TCP_TIMESTAMP, _TCP_REPAIR_WINDOW, _TCP_ULP, _TCP_IS_MPTCP = 24, 29, 31, 43
_REPAIR_ON, _REPAIR_OFF, _REPAIR_OFF_SILENTLY = 1, 0, -1
_NO_QUEUE, _RECEIVE_QUEUE, _SEND_QUEUE = 0, 1, 2
_OPTION_MSS, _OPTION_WINDOW, _OPTION_SACK, _OPTION_TIMESTAMP = 2, 3, 4, 8
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_IP_OPTIONS, _IPV6_DSTOPTS = 4, 59
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
        receive_next=_sequence(sock, _RECEIVE_QUEUE),
        send_next=_sequence(sock, _SEND_QUEUE),
        clock=_word(sock.getsockopt(socket.IPPROTO_TCP, _TCP_TIMESTAMP)),
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
        return _sequence(sock, _SEND_QUEUE)
    finally:
        leave_repair(sock)


def enter_repair(sock: socket.socket) -> None:
    """From here on it sends nothing, whatever ends it."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _REPAIR_ON)


def leave_repair(sock: socket.socket) -> None:
    """Back to work, without a packet."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _NO_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _REPAIR_OFF_SILENTLY)
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


def lease(local: tuple[str, int], peer: tuple[str, int]) -> socket.socket:
    """Return a socket as leave_to_splice() leaves one, made anew: the kernel gives these addresses to no other.

    Raises OSError EADDRNOTAVAIL when it has already.
    """
    sock = _in_repair(local)
    try:
        sock.connect(peer)
        mute(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def close_with_reset(sock: socket.socket) -> None:
    """Close with a RST, of the number that the peer expects."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@dataclass(frozen=True, slots=True)
class Restart:
    """A connection as it has to go on. data: what has been received from receive_next on. clock: None without
    timestamps, else the least TSval that the peer will take. Windows in bytes: send_window is the peer's."""

    local: tuple[str, int]
    peer: tuple[str, int]
    send_next: int
    receive_next: int
    mss: int
    send_scale: int
    receive_scale: int
    send_window: int
    receive_window: int
    sack: bool
    clock: int | None
    data: bytes


def rebuild(restart: Restart) -> socket.socket:
    """Return a connected socket that holds the data unread, still in repair: `resume` lets it live.

    Nothing may arrive for it before that. Raises OSError EADDRNOTAVAIL while a socket with these addresses exists.
    """
    sock = _in_repair(restart.local)
    try:
        _queue_at(sock, _RECEIVE_QUEUE, restart.receive_next)
        _queue_at(sock, _SEND_QUEUE, restart.send_next)
        sock.connect(restart.peer)
        options = [(_OPTION_MSS, restart.mss), (_OPTION_WINDOW, restart.send_scale | restart.receive_scale << 16)]
        options += [(_OPTION_SACK, 0)] * restart.sack
        options += [(_OPTION_TIMESTAMP, 0)] * (restart.clock is not None)
        sock.setsockopt(
            socket.IPPROTO_TCP, _TCP_REPAIR_OPTIONS, b"".join(struct.pack("=II", *option) for option in options)
        )
        if restart.clock is not None:  # the lowest bit says microseconds
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_TIMESTAMP, _signed(restart.clock + 1 & ~1))
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _RECEIVE_QUEUE)
        sent = 0
        while sent < len(restart.data):
            sent += sock.send(restart.data[sent:])
        window = (
            restart.receive_next,
            restart.send_window,
            restart.send_window,
            restart.receive_window,
            restart.receive_next,
        )
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_WINDOW, struct.pack("=5I", *(w & 0xFFFFFFFF for w in window)))
        _take_mss(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def resume(sock: socket.socket) -> None:
    """Let a rebuilt socket live. The window probe that it sends acknowledges what it holds, and the answer tells it
    the peer's clock."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _NO_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _REPAIR_OFF)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _in_repair(local: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Before bind(): it may share the port with whatever else is bound to it.
        enter_repair(sock)
        sock.bind(local)
    except BaseException:
        sock.close()
        raise
    return sock


def _take_mss(sock: socket.socket) -> None:
    """Have the MSS computed from what the peer announced: a connection made in repair starts with the least there is
    (536), and only a change of its IP options, here to none, has it computed anew."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DSTOPTS, b"")
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_OPTIONS, b"")


def _named(name: tuple[str, int]) -> tuple[str, int]:
    """Return address and port; an IPv4 peer of a socket for both families under its own name."""
    return plain_address(name[0]), name[1]


def _queue_at(sock: socket.socket, queue: int, number: int) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, queue)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ, _signed(number))


def _sequence(sock: socket.socket, queue: int) -> int:
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, queue)
    number = sock.getsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ)
    # With the send queue chosen, what an acknowledgement lets out would count as sent and not be.
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _NO_QUEUE)
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


def _signed(number: int) -> int:
    """Return 32 bits as the int that setsockopt() takes."""
    return (number & 0xFFFFFFFF) - (1 << 32) if number & OLDER else number & 0xFFFFFFFF
