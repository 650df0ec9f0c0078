"""Legs by real sockets, in a network namespace of the test's own: no number is trusted that TCP did not take."""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.packets import packet_namespace
from userspace.node import tcp_leg
from userspace.node.tcp_leg import ESTABLISHED, Leg, Option, Restart

pytestmark = pytest.mark.usefixtures("network")
FAMILIES = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with packet_namespace():
        yield


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


@FAMILIES
def test_both_ends_of_a_connection_read_the_same_numbers(address: str) -> None:
    with pair(address) as (theirs, ours):
        theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
        ours.recv(100)
        ours.sendall(b"HTTP/1.1 200 OK\r\n")
        theirs.recv(100)
        here, there = read(ours), read(theirs)
        assert (here.receive_next, here.send_next) == (there.send_next, there.receive_next)
        assert (
            (here.local, here.peer) == (there.peer, there.local) == (ours.getsockname()[:2], theirs.getsockname()[:2])
        )
        assert here.send_scale == there.receive_scale
        assert here.receive_scale == there.send_scale > 0
        assert here.state == ESTABLISHED
        assert Option(here.options) & (Option.TIMESTAMPS | Option.SACK | Option.WSCALE) == 7
        assert (here.unread, here.unacked, here.upper, here.is_mptcp) == (0, 0, "", False)
        assert here.mss == there.mss > 10_000
        assert here.window > 10_000
        assert here.is_ipv6 == (":" in address)
        assert not here.is_routed


def test_a_connection_goes_on_after_it_was_read() -> None:
    with pair() as (theirs, ours):
        for part in (b"one", b"two"):
            read(ours)
            ours.sendall(part)
            assert theirs.recv(10) == part
            theirs.sendall(part)
            assert ours.recv(10) == part
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1


def test_what_waits_in_the_queues_is_counted() -> None:
    with pair() as (theirs, ours):
        theirs.sendall(b"early")
        until(lambda: read(ours).unread == 5)
        tcp_leg.mute(theirs)  # so it acknowledges nothing
        before = read(ours)
        ours.sendall(b"unacknowledged")
        after = read(ours)
        assert after.unacked == 14
        assert after.send_next - before.send_next & 0xFFFFFFFF == 14
        assert tcp_leg.sent_up_to(ours) == after.send_next


def test_a_leg_is_as_read_until_something_arrives() -> None:
    with pair() as (theirs, ours):
        leg = read(ours)
        assert tcp_leg.is_as_read(ours, leg)
        theirs.sendall(b"x")
        until(lambda: not tcp_leg.is_as_read(ours, leg))


def test_a_muted_leg_takes_nothing_and_what_was_dropped_comes_again() -> None:
    with pair() as (theirs, ours):
        leg = read(ours)
        tcp_leg.mute(ours, acks=True)
        theirs.sendall(b"request")
        assert tcp_leg.is_as_read(ours, leg)
        assert read(theirs).unacked == 7
        tcp_leg.unmute(ours)
        assert ours.recv(10) == b"request"


def test_a_leg_that_takes_acknowledgements_alone_still_delivers() -> None:
    with pair() as (theirs, ours):
        tcp_leg.mute(ours, acks=True)
        ours.sendall(b"tail")
        assert theirs.recv(10) == b"tail"
        until(lambda: read(ours).unacked == 0)
        theirs.shutdown(socket.SHUT_WR)
        time.sleep(0.01)
        assert tcp_state(ours) == ESTABLISHED


def test_a_leg_left_to_its_splice_sends_nothing_when_it_closes() -> None:
    with pair() as (theirs, ours):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        tcp_leg.leave_to_splice(ours)
        ours.close()
        assert is_silent(theirs)


def test_a_leg_left_to_its_splice_keeps_its_ports() -> None:
    with pair() as (theirs, ours):
        local, peer = theirs.getsockname(), theirs.getpeername()
        tcp_leg.leave_to_splice(theirs)
        with pytest.raises(OSError):
            tcp_leg.lease(local, peer)
        theirs.close()
        with tcp_leg.lease(local, peer) as leased:
            assert leased.getsockname() == local
            with pytest.raises(OSError):
                tcp_leg.lease(local, peer)
        assert is_silent(ours)


def test_a_lease_acknowledges_nothing() -> None:
    with pair() as (theirs, ours):
        local, peer = ours.getsockname(), ours.getpeername()
        tcp_leg.leave_to_splice(ours)
        ours.close()
        with tcp_leg.lease(local, peer):
            theirs.sendall(b"for the splice alone")
            time.sleep(0.01)
            assert read(theirs).unacked == 20


def test_a_reset_reaches_the_peer() -> None:
    with pair() as (theirs, ours):
        tcp_leg.close_with_reset(ours)
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)


def restart_of(leg: Leg, data: bytes = b"") -> Restart:
    return Restart(
        local=leg.local,
        peer=leg.peer,
        send_next=leg.send_next,
        receive_next=leg.receive_next,
        mss=leg.mss,
        send_scale=leg.send_scale,
        receive_scale=leg.receive_scale,
        send_window=leg.window,
        receive_window=leg.receive_window,
        sack=bool(leg.options & Option.SACK),
        clock=leg.clock if leg.options & Option.TIMESTAMPS else None,
        data=data,
    )


@FAMILIES
def test_a_connection_goes_on_in_a_rebuilt_socket(address: str) -> None:
    with pair(address) as (theirs, ours):
        theirs.sendall(b"hello")
        assert ours.recv(10) == b"hello"
        leg = read(ours)
        tcp_leg.leave_to_splice(ours)
        theirs.sendall(b"GET /")  # dropped here, and given to the rebuilt one before it is repeated
        ours.close()
        with tcp_leg.rebuild(restart_of(leg, b"GET /")) as rebuilt:
            tcp_leg.resume(rebuilt)
            rebuilt.settimeout(2)
            assert rebuilt.recv(100) == b"GET /"
            until(lambda: read(theirs).unacked == 0)
            theirs.sendall(b" HTTP/1.1")
            assert rebuilt.recv(100) == b" HTTP/1.1"
            payload = os.urandom(1 << 18)
            received = b""
            theirs.setblocking(True)
            rebuilt.settimeout(5)
            for at in range(0, len(payload), 1 << 14):
                rebuilt.sendall(payload[at : at + (1 << 14)])
                while len(received) < at + (1 << 14):
                    received += theirs.recv(1 << 16)
            assert received == payload
            again = read(rebuilt)
            assert (again.mss, again.send_scale, again.receive_scale) == (leg.mss, leg.send_scale, leg.receive_scale)
            assert again.options & 7 == leg.options & 7
            rebuilt.shutdown(socket.SHUT_WR)
            assert theirs.recv(1) == b""


def test_a_rebuilt_socket_sends_full_segments_at_once() -> None:
    with pair() as (theirs, ours):
        leg = read(ours)
        tcp_leg.leave_to_splice(ours)
        ours.close()
        with tcp_leg.rebuild(restart_of(replace(leg, mss=1460))) as rebuilt:
            tcp_leg.resume(rebuilt)
            (mss,) = struct.unpack_from("=I", rebuilt.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 20), 16)
            assert mss == 1448


def test_numbers_that_are_about_to_wrap_go_on() -> None:
    with pair() as (theirs, ours):
        leg = replace(read(ours), send_next=0xFFFFFFFE, receive_next=0xFFFFFFFD)
        other = replace(read(theirs), send_next=0xFFFFFFFD, receive_next=0xFFFFFFFE)
        for sock in (ours, theirs):
            tcp_leg.leave_to_splice(sock)
            sock.close()
        with tcp_leg.rebuild(restart_of(leg)) as near, tcp_leg.rebuild(restart_of(other)) as far:
            tcp_leg.resume(near)
            tcp_leg.resume(far)
            for sock in (near, far):
                sock.settimeout(2)
            near.sendall(b"across")
            assert far.recv(10) == b"across"
            far.sendall(b"and back")
            assert near.recv(10) == b"and back"
            assert (read(near).send_next, read(near).receive_next) == (4, 5)


def test_a_socket_cannot_be_rebuilt_beside_the_one_it_replaces() -> None:
    with pair() as (_, ours), pytest.raises(OSError):
        tcp_leg.rebuild(restart_of(read(ours)))
