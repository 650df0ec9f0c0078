"""What the access log is told of requests that the kernel carries, byte by byte."""

import os
import struct
import time
from ctypes import c_uint32

import pytest

from tests.bpf.splice_machine import (
    C_ACK,
    C_SEQ,
    CLIENT,
    GENERATION,
    HEAD,
    ID,
    S_ACK,
    S_SEQ,
    SELF,
    from_client,
    from_endpoint,
    guard,
)
from tests.bpf.test_splice import OTHER, POST, RESPONSE, Machine, answered, machine, second
from tests.packets import TC_ACT_REDIRECT, TC_ACT_SHOT
from userspace.node import abi, bpf
from userspace.node.abi import Event
from userspace.node.ring import Ring
from userspace.node.splice_abi import Flag, Kind, Splice, SplicedRequest, State
from userspace.node.splice_ageing import NSEC

__all__ = ["machine"]
pytestmark = pytest.mark.bpf
FIXED = 112
LOGGED = {"kind": Kind.GUARDED, "logged": 2, "client": abi.addr("198.51.100.4"), "client_port": 4711, "revision": 77}


class Told:
    """The ring `splice_requests` of a machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.records()

    def records(self) -> list[bytes]:
        """Return what was told since the last time."""
        fd = bpf.get_pinned(self._machine.root / "splice_requests")
        try:
            with Ring(fd) as ring:
                return list(ring.read())
        finally:
            os.close(fd)

    def lost(self) -> int:
        return self._machine.tables["events"].totals(len(Event))[Event.SPLICE_UNLOGGED]


@pytest.fixture
def told(machine: Machine) -> Told:
    return Told(machine)


def mapped(address: str) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(int(part) for part in address.split("."))


def figures(record: bytes) -> SplicedRequest:
    return SplicedRequest.from_buffer_copy(record)


def test_a_request_is_told_with_its_head_and_with_what_became_of_the_one_before(machine: Machine, told: Told) -> None:
    machine.carry(guard=guard(method=b"GET"), **LOGGED)
    began = time.monotonic_ns()
    machine.send(from_client(payload=HEAD))
    sent = time.monotonic_ns()
    answered(machine)
    over = time.monotonic_ns()
    assert machine.send(second(HEAD)) == TC_ACT_REDIRECT
    first, then = told.records()
    # id, generation, number of the one that is over, length of the head, account; ports as on the wire; addresses
    beginning = struct.pack("=IIIII", ID, GENERATION, 0, len(HEAD), 2) + struct.pack("!HH", 4711, 80)
    addresses = mapped("198.51.100.4") + mapped(SELF)
    assert first[:64] == beginning + addresses + struct.pack("=Q", 77)
    assert first[FIXED:] == HEAD
    beginning = struct.pack("=IIIII", ID, GENERATION, 1, len(HEAD), 2) + struct.pack("!HH", 4711, 80)
    assert then[:64] == beginning + addresses + struct.pack("=Q", 77)
    assert then[FIXED:] == HEAD
    begun, done, up, down, answer, first_us = struct.unpack_from("=QQQQII", then, 64)
    assert (up, down, answer) == (len(HEAD), len(RESPONSE), len(RESPONSE))
    assert began < begun < sent < done < over
    assert (sent - begun) // 1000 <= first_us + 1 and first_us <= (over - began) // 1000
    assert struct.unpack_from("=HBBBBH", then, 104) == (200, 0, 2, Kind.GUARDED, State.ACTIVE, 0)


def test_of_a_splice_that_is_not_logged_nothing_is_told(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED | {"logged": 0})
    machine.send(from_client(payload=HEAD))
    answered(machine)
    machine.send(second(OTHER))
    machine.send(from_client("R", seq=C_SEQ + len(HEAD)))
    assert not told.records()


def test_a_request_that_goes_back_is_told_by_nobody_here_but_ends_the_one_before(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED)
    machine.send(from_client(payload=HEAD))
    answered(machine)
    machine.send(second(OTHER))
    _, ended = told.records()
    assert (figures(ended).number, figures(ended).len, len(ended)) == (1, 0, FIXED)
    assert (figures(ended).status, figures(ended).answer, figures(ended).state) == (200, len(RESPONSE), State.BACK)
    machine.send(second(OTHER))
    assert not told.records()


def test_what_is_dropped_is_not_told(machine: Machine, told: Told) -> None:
    """Repeated, early, or beyond a gap: none of these is a request more."""
    machine.carry(**LOGGED)
    machine.send(from_client(payload=HEAD))
    assert len(told.records()) == 1
    for packet in (
        from_client(payload=HEAD),
        from_client(payload=OTHER),
        from_client(payload=HEAD, seq=C_SEQ + len(HEAD)),
        from_client(payload=HEAD, seq=C_SEQ + 2 * len(HEAD)),
    ):
        machine.send(packet)
    assert not told.records()


@pytest.mark.parametrize(("line", "status"), [(b"404 Not Found", 404), (b"599 x", 599), (b"2xx", 0), (b"9", 0)])
def test_all_of_the_status_is_told(machine: Machine, told: Told, line: bytes, status: int) -> None:
    machine.carry(**LOGGED)
    machine.send(from_client(payload=HEAD))
    answered(machine, b"HTTP/1.1 " + line + b"\r\n\r\n")
    machine.send(from_client("R", seq=C_SEQ + len(HEAD)))
    assert [figures(record).status for record in told.records()] == [0, status]


def test_bytes_are_those_of_the_body_too_and_what_is_repeated_counts_once(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED | {"guard": guard(method=b"POST")})
    end = C_SEQ + len(POST) + 5
    machine.send(from_client(payload=POST))
    for _ in range(2):
        machine.send(from_client(payload=b"12345", seq=C_SEQ + len(POST)))
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    for _ in range(3):
        machine.send(from_endpoint(payload=reply, ack=S_SEQ + end - C_SEQ))
    machine.send(from_endpoint("FA", seq=S_ACK + len(reply), ack=S_SEQ + end - C_SEQ))
    machine.send(from_client("FA", seq=end, ack=C_ACK + len(reply) + 1))
    machine.send(from_endpoint("A", seq=S_ACK + len(reply) + 1, ack=S_SEQ + end - C_SEQ + 1))
    head, ended = (figures(record) for record in told.records())
    assert (head.number, head.len) == (0, len(POST))
    assert (ended.number, ended.len, ended.status) == (1, 0, 200)
    assert (ended.up, ended.down, ended.answer) == (len(POST) + 5, 3 * len(reply), len(reply))
    assert ended.flags == Flag.FIN_UP | Flag.FIN_DOWN


def test_interim_responses_are_bytes_of_the_answer(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED)
    machine.send(from_client(payload=HEAD))
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    machine.send(from_endpoint(payload=hints, ack=S_SEQ + len(HEAD)))
    machine.send(from_endpoint(payload=RESPONSE, seq=S_ACK + len(hints), ack=S_SEQ + len(HEAD)))
    machine.send(from_client("R", seq=C_SEQ + len(HEAD)))
    ended = figures(told.records()[-1])
    assert (ended.status, ended.answer) == (200, len(hints) + len(RESPONSE))


def test_a_request_that_is_cut_short_has_the_bytes_that_came(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED | {"guard": guard(method=b"POST")})
    machine.send(from_client(payload=POST + b"12"))
    machine.send(from_client("R", seq=C_SEQ + len(POST) + 2))
    _, ended = (figures(record) for record in told.records())
    assert (ended.number, ended.status, ended.up, ended.answer) == (1, 0, len(POST) + 2, 0)
    assert ended.flags == Flag.AWAITS


def test_whose_reset_it_was_is_told(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED)
    machine.send(from_client(payload=HEAD))
    machine.send(from_endpoint("R", ack=S_SEQ + len(HEAD)))
    assert figures(told.records()[-1]).flags == Flag.AWAITS | Flag.RESET


def test_an_end_is_told_once(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED)
    for _ in range(2):
        machine.send(from_client("R"))
        machine.send(from_endpoint("R"))
    (ended,) = (figures(record) for record in told.records())
    assert (ended.number, ended.len, ended.state) == (0, 0, State.CLOSED)


def test_of_bytes_alone_the_end_is_told_with_what_passed(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED | {"kind": Kind.OPAQUE, "created_ns": 12345})
    machine.send(from_client(payload=b"hello"))
    machine.send(from_endpoint(payload=b"world!"))
    machine.send(from_client("R", seq=C_SEQ + 5))
    (ended,) = (figures(record) for record in told.records())
    assert (ended.number, ended.begun_ns, ended.kind) == (0, 12345, Kind.OPAQUE)
    assert (ended.up, ended.down, ended.answer) == (5, 6, 6)


def test_a_tunnel_that_only_goes_up_lasts_until_its_last_packet(machine: Machine, told: Told) -> None:
    began = time.monotonic_ns() - 5 * NSEC
    machine.carry(**LOGGED | {"kind": Kind.OPAQUE, "created_ns": began})
    machine.send(from_client(payload=b"hello"))
    machine.send(from_client("R", seq=C_SEQ + 5))
    (ended,) = (figures(record) for record in told.records())
    assert 4.9 * NSEC < ended.answered_ns - ended.begun_ns < 60 * NSEC


def test_a_full_ring_costs_the_line_and_not_the_request(machine: Machine, told: Told) -> None:
    """Nobody reads: what does not fit is counted, and goes on as ever."""
    machine.carry(**LOGGED)
    fresh = bytes(machine.splice)
    long = HEAD[:-2] + b"X: " + b"x" * (1024 - len(HEAD) - 5) + b"\r\n\r\n"
    before, sent = told.lost(), 0
    packet = bytes(from_client(payload=long))
    assert len(long) == 1024
    while told.lost() == before:
        machine.tables["splices"].put(c_uint32(ID), fresh)
        assert machine.ran(packet).verdict == TC_ACT_REDIRECT
        sent += 1
        assert sent < 10_000
    assert Splice.from_buffer_copy(machine.tables["splices"].get(c_uint32(ID)) or b"").requests == 1
    assert len(told.records()) == sent - 1 == (1 << 23) // (8 + FIXED + 1024)


def test_the_longest_head_is_told_whole(machine: Machine, told: Told) -> None:
    machine.carry(**LOGGED)
    long = HEAD[:-2] + b"X: " + b"x" * (1024 - len(HEAD) - 5) + b"\r\n\r\n"
    assert machine.send(from_client(payload=long)) == TC_ACT_REDIRECT
    (record,) = told.records()
    assert record[FIXED:] == long
    machine.carry(**LOGGED)
    assert machine.send(from_client(payload=long[:-4] + b"x\r\n\r\n")) == TC_ACT_SHOT
    (record,) = told.records()
    assert figures(record).len == 0 and CLIENT not in record.decode("latin-1")
