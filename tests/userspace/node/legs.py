"""Connections between two sockets of a test, and what is seen of them."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from userspace.node import tcp_leg
from userspace.node.tcp_leg import ESTABLISHED, Leg


def connected(address: str) -> tuple[socket.socket, socket.socket]:
    """Return (theirs, ours) of one connection; ours is the accepted one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 0))
        listener.listen()
        theirs = socket.socket(family)
        theirs.settimeout(2)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
        ours.settimeout(2)
    return theirs, ours


@contextlib.contextmanager
def pair(address: str = "127.0.0.1") -> Iterator[tuple[socket.socket, socket.socket]]:
    theirs, ours = connected(address)
    with theirs, ours:
        yield theirs, ours


def read(sock: socket.socket) -> Leg:
    tcp_leg.enter_repair(sock)
    leg = tcp_leg.read(sock)
    tcp_leg.leave_repair(sock)
    return leg


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 2
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def is_silent(sock: socket.socket) -> bool:
    """Return whether a connection still stands for this end, and nothing has come."""
    sock.setblocking(False)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return tcp_state(sock) == ESTABLISHED
    finally:
        sock.settimeout(2)
    return False


def tcp_state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
