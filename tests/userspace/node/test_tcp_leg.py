"""Legs by real sockets, in a network namespace of the test's own: no number is trusted that TCP did not take."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.packets import packet_namespace
from tests.userspace.node.legs import is_silent, pair, read, tcp_state, until
from userspace.node import tcp_leg, tcp_rebuild
from userspace.node.tcp_leg import ESTABLISHED, Option

pytestmark = pytest.mark.usefixtures("network")
FAMILIES = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with packet_namespace():
        yield


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


def test_a_leg_vanishes_though_a_worker_has_it_open() -> None:
    with pair() as (theirs, ours), ours.dup() as workers:
        leg = read(ours)
        tcp_leg.mute(theirs)
        ours.sendall(b"unacknowledged")
        tcp_leg.unmute(theirs)
        tcp_leg.vanish(ours)
        with pytest.raises(OSError):
            workers.send(b"x")
        with tcp_rebuild.lease(leg.local, leg.peer):  # its addresses are free
            assert is_silent(theirs)


def test_an_aborted_leg_resets_its_peer_though_a_worker_has_it_open() -> None:
    with pair() as (theirs, ours), ours.dup():
        tcp_leg.abort(ours)
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
