"""Rebuilt connections by real sockets: the other end notices nothing."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.packets import packet_namespace
from tests.userspace.node.legs import is_silent, pair, read, until
from userspace.node import tcp_leg, tcp_rebuild
from userspace.node.tcp_leg import Leg, Option
from userspace.node.tcp_rebuild import Restart

pytestmark = pytest.mark.usefixtures("network")
FAMILIES = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with packet_namespace():
        yield


def test_a_leg_left_to_its_splice_keeps_its_ports() -> None:
    with pair() as (theirs, ours):
        local, peer = theirs.getsockname(), theirs.getpeername()
        tcp_leg.leave_to_splice(theirs)
        with pytest.raises(OSError):
            tcp_rebuild.lease(local, peer)
        theirs.close()
        with tcp_rebuild.lease(local, peer) as leased:
            assert leased.getsockname() == local
            with pytest.raises(OSError):
                tcp_rebuild.lease(local, peer)
        assert is_silent(ours)


def test_a_lease_acknowledges_nothing() -> None:
    with pair() as (theirs, ours):
        local, peer = ours.getsockname(), ours.getpeername()
        tcp_leg.leave_to_splice(ours)
        ours.close()
        with tcp_rebuild.lease(local, peer):
            theirs.sendall(b"for the splice alone")
            time.sleep(0.01)
            assert read(theirs).unacked == 20


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
        with tcp_rebuild.rebuild(restart_of(leg, b"GET /")) as rebuilt:
            tcp_rebuild.resume(rebuilt)
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


@pytest.mark.parametrize("address", ["10.100.0.20", "2001:db8:100::20"])
def test_a_connection_to_a_local_route_is_rebuilt_though_no_device_has_its_address(address: str) -> None:
    """DSR VIPs are such (links.own_vips)."""
    subprocess.run(["ip", "route", "add", "local", address, "dev", "lo", "table", "local"], check=True)
    here = "::1" if ":" in address else "127.0.0.1"
    with pair(here) as (_, ours):
        leg = read(ours)
    with tcp_rebuild.rebuild(restart_of(replace(leg, local=(address, 80)))) as rebuilt:
        assert rebuilt.getsockname()[:2] == (address, 80)


def test_a_rebuilt_socket_sends_full_segments_at_once() -> None:
    with pair() as (theirs, ours):
        leg = read(ours)
        tcp_leg.leave_to_splice(ours)
        ours.close()
        with tcp_rebuild.rebuild(restart_of(replace(leg, mss=1460))) as rebuilt:
            tcp_rebuild.resume(rebuilt)
            (mss,) = struct.unpack_from("=I", rebuilt.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 20), 16)
            assert mss == 1448


def test_numbers_that_are_about_to_wrap_go_on() -> None:
    with pair() as (theirs, ours):
        leg = replace(read(ours), send_next=0xFFFFFFFE, receive_next=0xFFFFFFFD)
        other = replace(read(theirs), send_next=0xFFFFFFFD, receive_next=0xFFFFFFFE)
        for sock in (ours, theirs):
            tcp_leg.leave_to_splice(sock)
            sock.close()
        with tcp_rebuild.rebuild(restart_of(leg)) as near, tcp_rebuild.rebuild(restart_of(other)) as far:
            tcp_rebuild.resume(near)
            tcp_rebuild.resume(far)
            for sock in (near, far):
                sock.settimeout(2)
            near.sendall(b"across")
            assert far.recv(10) == b"across"
            far.sendall(b"and back")
            assert near.recv(10) == b"and back"
            assert (read(near).send_next, read(near).receive_next) == (4, 5)


def test_a_socket_cannot_be_rebuilt_beside_the_one_it_replaces() -> None:
    with pair() as (_, ours), pytest.raises(OSError):
        tcp_rebuild.rebuild(restart_of(read(ours)))
