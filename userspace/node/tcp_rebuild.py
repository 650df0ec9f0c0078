"""A TCP socket made of numbers instead of a handshake: what a splice is handed back in, and what holds its addresses.

All of it in TCP_REPAIR (see tcp_leg.py): connect() sends nothing there, and queues begin where they are told to. Every
function raises OSError.
"""

import socket
import struct
from dataclasses import dataclass

from userspace.node.tcp_leg import (
    NO_QUEUE,
    RECEIVE_QUEUE,
    SEND_QUEUE,
    TCP_QUEUE_SEQ,
    TCP_REPAIR,
    TCP_REPAIR_QUEUE,
    TCP_TIMESTAMP,
    enter_repair,
    mute,
)

_TCP_REPAIR_OPTIONS, _TCP_REPAIR_WINDOW = 22, 29
_REPAIR_OFF = 0  # and a window probe
_OPTION_MSS, _OPTION_WINDOW, _OPTION_SACK, _OPTION_TIMESTAMP = 2, 3, 4, 8
_IP_OPTIONS, _IPV6_DSTOPTS = 4, 59
_IPV6_FREEBIND = 78


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
        _queue_at(sock, RECEIVE_QUEUE, restart.receive_next)
        _queue_at(sock, SEND_QUEUE, restart.send_next)
        sock.connect(restart.peer)
        options = [(_OPTION_MSS, restart.mss), (_OPTION_WINDOW, restart.send_scale | restart.receive_scale << 16)]
        options += [(_OPTION_SACK, 0)] * restart.sack
        options += [(_OPTION_TIMESTAMP, 0)] * (restart.clock is not None)
        sock.setsockopt(
            socket.IPPROTO_TCP, _TCP_REPAIR_OPTIONS, b"".join(struct.pack("=II", *option) for option in options)
        )
        if restart.clock is not None:  # the lowest bit says microseconds
            sock.setsockopt(socket.IPPROTO_TCP, TCP_TIMESTAMP, _signed(restart.clock + 1 & ~1))
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, RECEIVE_QUEUE)
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
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, NO_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, _REPAIR_OFF)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


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


def _in_repair(local: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Before bind(): it may share the port with whatever else is bound to it.
        enter_repair(sock)
        if family == socket.AF_INET6:  # unlike IPv4's, its bind() wants an address, and a DSR VIP is a local route
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
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


def _queue_at(sock: socket.socket, queue: int, number: int) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, _signed(number))


def _signed(number: int) -> int:
    """Return 32 bits as the int that setsockopt() takes."""
    return (number & 0xFFFFFFFF) - (1 << 32) if number & 0x80000000 else number & 0xFFFFFFFF
