"""What a splice keeps of an answer: its status, how it begins and how it ends."""

from ctypes import c_uint32

import pytest

from tests.bpf.splice_machine import (
    C_ACK,
    C_SEQ,
    HEAD,
    ID,
    PLAIN_MACHINE,
    S_ACK,
    S_SEQ,
    from_client,
    from_endpoint,
    guard,
)
from tests.bpf.test_splice import RESPONSE, Machine, answered, machine, second
from tests.packets import TC_ACT_REDIRECT, Entry
from userspace.node import abi
from userspace.node.splice_abi import Flag, Kind

__all__ = ["machine"]
pytestmark = pytest.mark.bpf


@pytest.mark.parametrize(("line", "slot"), [(b"404 Not Found", 4), (b"500 Oops", 5), (b"301 Moved", 3), (b"9xx", 0)])
def test_status_classes_are_counted(machine: Machine, line: bytes, slot: int) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    answered(machine, b"HTTP/1.1 " + line + b"\r\n\r\n")
    assert [n for n, count in enumerate(machine.counts().statuses) if count] == [slot]


def test_an_interim_response_is_not_the_response(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    machine.send(from_endpoint(payload=b"HTTP/1.1 103 Early Hints\r\n\r\n", ack=S_SEQ + len(HEAD)))
    assert machine.splice.flags & Flag.AWAITS and not sum(machine.counts().statuses)
    behind = len(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    machine.send(from_endpoint(payload=RESPONSE, seq=S_ACK + behind, ack=S_SEQ + len(HEAD)))
    assert not machine.splice.flags & Flag.AWAITS and list(machine.counts().statuses) == [0, 0, 1, 0, 0, 0]
    assert machine.refused(from_client(payload=HEAD, seq=C_SEQ + len(HEAD), ack=C_ACK + behind + len(RESPONSE))) is None


def test_a_response_in_the_packet_of_an_interim_one_is_answer_enough(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    machine.send(from_endpoint(payload=interim + RESPONSE, ack=S_SEQ + len(HEAD)))
    assert not machine.splice.flags & Flag.AWAITS
    assert machine.splice.answer == S_ACK + len(interim)
    assert machine.said == RESPONSE and list(machine.counts().statuses) == [0, 0, 1, 0, 0, 0]
    together = C_ACK + len(interim + RESPONSE)
    assert machine.refused(from_client(payload=HEAD, seq=C_SEQ + len(HEAD), ack=together)) is None


LINKS = b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </style.css>; rel=preload; as=style\r\n" * 20 + b"\r\n"


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_long_interim_response_hides_no_answer(machine: Machine, times: int) -> None:
    """More may stand before the answer in a packet than is looked through: then it is answered all the same."""
    interim = LINKS[:-2] * times + b"\r\n"
    wide = abi.Machine.from_buffer_copy(bytes(PLAIN_MACHINE))
    wide.mtu = 9000
    machine.carry(Entry("machine", c_uint32(0), wide), kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    machine.send(from_endpoint(payload=interim + RESPONSE, ack=S_SEQ + len(HEAD)))
    splice = machine.splice
    assert not splice.flags & Flag.AWAITS
    assert (machine.said, splice.mixed) == ((RESPONSE, 0) if times == 1 else (b"", 1))
    together = C_ACK + len(interim + RESPONSE)
    assert machine.refused(from_client(payload=HEAD, seq=C_SEQ + len(HEAD), ack=together)) is None


def answered_in(machine: Machine, *parts: bytes, since: int = S_ACK) -> None:
    """Let the endpoint send this, a segment each."""
    for part in parts:
        machine.send(from_endpoint(payload=part, seq=since, ack=S_SEQ + len(HEAD)))
        since += len(part)


def test_how_an_answer_begins_and_ends_is_kept(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    begins = (b"HTTP/1.1 200 OK\r\nTransfer-", b"Encoding: chunked\r\n\r\n", b"5dc\r\n" + bytes(1019))
    answered_in(machine, *begins[:2], begins[2] + bytes(421), bytes(60) + b"\r\n", b"0\r\n", b"\r\n")
    assert machine.said == b"".join(begins)
    splice = machine.splice
    assert bytes(splice.last) == b"\0\r\n0\r\n\r\n"
    assert (splice.answer, splice.asked_head, splice.mixed) == (S_ACK, 0, 0)


def test_a_small_answer_in_pieces_is_kept_whole(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    parts = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n", b"\r\n")
    answered_in(machine, *parts)
    assert machine.said == b"".join(parts)


def test_a_long_answer_is_kept_as_far_as_there_is_room_and_its_end(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    whole = RESPONSE + bytes(n % 251 for n in range(3900))
    answered_in(machine, whole[:1460], whole[1460:2920], whole[2920:])
    assert (machine.said, bytes(machine.splice.last)) == (whole[: 1460 + 1024], whole[-8:])
    machine.send(from_client("A", seq=C_SEQ + len(HEAD), ack=C_ACK + len(whole)))
    machine.send(from_client(payload=HEAD, seq=C_SEQ + len(HEAD), ack=C_ACK + len(whole)))
    assert (machine.splice.said_len, bytes(machine.splice.last)) == (0, bytes(8))


def test_what_overtakes_the_beginning_of_an_answer_is_not_taken_for_it(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    answered_in(machine, b"\r\n\r\nbody", since=S_ACK + 20)
    assert machine.said == b""
    answered_in(machine, b"HTTP/1.1 200 OK\r\nX: ")
    assert machine.said == b"HTTP/1.1 200 OK\r\nX: "


def test_where_nothing_can_be_kept_an_answer_is_carried_all_the_same(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.tables["answers"].delete(c_uint32(ID))
    machine.send(from_client(payload=HEAD))
    answered_in(machine, RESPONSE[:20], RESPONSE[20:])
    splice = machine.splice
    assert (splice.said_len, splice.flags & Flag.AWAITS, splice.bytes[1]) == (0, 0, len(RESPONSE))


def test_what_answers_no_head_was_pipelined(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    answered(machine, b"the rest of another")
    assert machine.splice.mixed


def test_a_head_request_is_known_as_such(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED, guard=guard(method=b"HEAD"))
    machine.send(from_client(payload=b"HEAD" + HEAD[3:]))
    assert machine.splice.asked_head


def test_an_acknowledgement_that_overtakes_a_lost_response_hides_it_from_nobody(machine: Machine) -> None:
    """The endpoint answers a repeated request with a bare ACK, whose number is behind the response that was lost."""
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    machine.send(from_endpoint("A", seq=S_ACK + len(RESPONSE), ack=S_SEQ + len(HEAD)))
    answered(machine)
    assert list(machine.counts().statuses) == [0, 0, 1, 0, 0, 0]
    assert machine.send(second(HEAD)) == TC_ACT_REDIRECT
