"""What a splice remembers from packet to packet: its states, its counts, and what it tells the node."""

import os
import random
import time
from collections.abc import Callable
from ctypes import c_uint32
from pathlib import Path

import pytest
from scapy.packet import Packet

from tests.bpf import splice_rows
from tests.bpf.conftest import Datapaths
from tests.bpf.splice_machine import (
    C_ACK,
    C_SEQ,
    HEAD,
    ID,
    S_ACK,
    S_SEQ,
    carried,
    from_client,
    from_endpoint,
    guard,
)
from tests.packets import TC_ACT_OK, TC_ACT_REDIRECT, TC_ACT_SHOT, Entry, clear, damaged, run
from userspace.node import bpf
from userspace.node.abi import DropReason
from userspace.node.datapath import Datapath
from userspace.node.ring import Ring
from userspace.node.splice_abi import (
    Back,
    EventType,
    Flag,
    Kind,
    Splice,
    SpliceCount,
    SpliceEvent,
    State,
)
from userspace.node.splice_ageing import NSEC

pytestmark = pytest.mark.bpf
OTHER = HEAD.replace(b"/a", b"/forbidden")
POST = HEAD.replace(b"GET", b"POST")[:-2] + b"Content-Length: 5\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Machine:
    """One loaded gateway that carries a splice."""

    def __init__(self, loaded: Datapath, ifindex: int, is_xdp: bool) -> None:
        self._loaded, self.ifindex, self.is_xdp = loaded, ifindex, is_xdp
        self.program = loaded.programs["vxlan_xdp" if is_xdp else "vxlan_ingress"]
        self.tables = loaded.tables

    def carry(self, *before: Entry, **fields: object) -> None:
        clear(self.tables)
        self.tables["splice_counts"].put_shares(2, bytes(SpliceCount()))
        for entry in (*carried(**fields), *before):  # type: ignore[arg-type]
            entry.put(self.tables)
        self.events()

    def ran(self, packet: bytes) -> bpf.TestRun:
        return run(self.program, packet, self.ifindex, is_xdp=self.is_xdp)

    def send(self, packet: Packet) -> int:
        """Return the verdict, in TC's words."""
        return self.ran(bytes(packet)).verdict

    def refused(self, packet: Packet) -> DropReason | None:
        """Send, and return why it was dropped; None when it was not."""
        before = self.tables["drops"].totals(len(DropReason))
        self.send(packet)
        after = self.tables["drops"].totals(len(DropReason))
        grown = [reason for reason in DropReason if after[reason] != before[reason]]
        return grown[0] if grown else None

    @property
    def root(self) -> Path:
        """Where its maps are pinned."""
        return self._loaded.root

    @property
    def splice(self) -> Splice:
        return Splice.from_buffer_copy(self.tables["splices"].get(c_uint32(ID)) or b"")

    @property
    def said(self) -> bytes:
        """How the last answer begins, as far as it is kept."""
        return (self.tables["answers"].get(c_uint32(ID)) or b"")[: self.splice.said_len]

    def counts(self) -> SpliceCount:
        total = SpliceCount()
        for share in (SpliceCount.from_buffer_copy(raw) for raw in self.tables["splice_counts"].shares(2)):
            total.requests += share.requests
            for name in ("bytes", "statuses", "latency"):
                for index, value in enumerate(getattr(share, name)):
                    getattr(total, name)[index] += value
        return total

    def events(self) -> list[SpliceEvent]:
        """Return what the node is told since the last time."""
        fd = bpf.get_pinned(self.root / "splice_events")
        try:
            with Ring(fd) as ring:
                return [SpliceEvent.from_buffer_copy(raw) for raw in ring.read()]
        finally:
            os.close(fd)


@pytest.fixture(params=["auto", "xdp"])
def machine(request: pytest.FixtureRequest, datapaths: Datapaths, ifindex: int) -> Machine:
    return Machine(datapaths("gateway", request.param, False), ifindex, request.param == "xdp")


def answered(machine: Machine, body: bytes = RESPONSE) -> None:
    """Have the endpoint answer the request that HEAD is, and the client acknowledge it."""
    assert machine.send(from_endpoint(payload=body, ack=S_SEQ + len(HEAD))) == TC_ACT_REDIRECT
    assert machine.send(from_client("A", seq=C_SEQ + len(HEAD), ack=C_ACK + len(body))) == TC_ACT_REDIRECT


def second(payload: bytes) -> Packet:
    """Return the client's next segment after HEAD and its answer."""
    return from_client(payload=payload, seq=C_SEQ + len(HEAD), ack=C_ACK + len(RESPONSE))


def test_one_request_after_the_other_is_let_through_and_counted(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    assert machine.send(from_client(payload=HEAD)) == TC_ACT_REDIRECT
    answered(machine)
    assert machine.send(second(HEAD)) == TC_ACT_REDIRECT
    counts, splice = machine.counts(), machine.splice
    assert (counts.requests, list(counts.statuses), sum(counts.latency)) == (2, [0, 0, 1, 0, 0, 0], 1)
    assert list(counts.bytes) == [2 * len(HEAD), len(RESPONSE)]
    assert (splice.requests, splice.head, bool(splice.flags & Flag.AWAITS)) == (2, C_SEQ + 2 * len(HEAD), True)


def test_what_had_to_carry_on_comes_back_no_sooner_than_it_may(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED, deadline_ns=2**63 - 1)
    machine.send(from_client(payload=HEAD))
    answered(machine)
    assert machine.refused(second(OTHER)) == DropReason.SPLICE_EARLY
    assert machine.refused(second(HEAD)) is None and not machine.events()


def test_a_retransmission_of_a_head_has_to_be_the_same_bytes(machine: Machine) -> None:
    """The first copy may never have arrived: what the endpoint reads could be any of them."""
    machine.carry(kind=Kind.GUARDED)
    assert machine.refused(from_client(payload=HEAD)) is None
    assert machine.refused(from_client(payload=HEAD)) is None
    assert machine.refused(from_client(payload=HEAD.replace(b"/a", b"/b"))) == DropReason.SPLICE_REPEAT
    assert machine.refused(from_client(payload=HEAD[:10])) == DropReason.SPLICE_REPEAT
    assert machine.refused(from_client(payload=HEAD[10:], seq=C_SEQ + 10)) == DropReason.SPLICE_REPEAT
    assert machine.refused(from_client(payload=b"X" * 8 + HEAD[:8], seq=C_SEQ - 8)) == DropReason.SPLICE_REPEAT


# What two heads may differ by, whatever the key, so that a product with a known number hides it once in 250 times.
DIFFERENCES = (0xC065420C832A1054, 0x40A54208852A1054, 0xC0A5420C852A1054, 0x40654208832A1054)


def test_who_does_not_know_the_key_makes_no_two_heads_of_one_hash(machine: Machine) -> None:
    """Some two words that differ so: with the right ones the second copy would have a line more."""
    machine.carry(kind=Kind.GUARDED)
    fresh = machine.splice
    for turn in range(500):
        before = HEAD[:-2] + b"X: %d" % turn
        before += b"." * (-len(before) % 8 + 7)
        machine.tables["splices"].put(c_uint32(ID), fresh)
        assert machine.send(from_client(payload=before + b"\x80" + b"z" * 8 + b"\r\n\r\n")) == TC_ACT_REDIRECT
        for difference in DIFFERENCES:
            other = bytes(a ^ b"z"[0] for a in difference.to_bytes(8, "little"))
            again = from_client(payload=before + b"\x00" + other + b"\r\n\r\n")
            assert machine.send(again) == TC_ACT_SHOT


def test_a_head_that_the_endpoint_has_acknowledged_may_be_repeated_as_anything(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    machine.send(from_endpoint("A", ack=S_SEQ + len(HEAD)))
    assert machine.refused(from_client(payload=HEAD[:10])) is None


def test_bytes_of_a_body_may_come_in_any_order_and_again(machine: Machine) -> None:
    machine.carry(kind=Kind.GUARDED, guard=guard(method=b"POST"))
    start = C_SEQ + len(POST)
    assert machine.refused(from_client(payload=POST)) is None
    assert machine.refused(from_client(payload=b"45", seq=start + 3)) is None
    assert machine.refused(from_client(payload=b"123", seq=start)) is None
    assert machine.refused(from_client(payload=b"999", seq=start)) is None
    assert machine.refused(from_client(payload=POST + b"12345")) is None
    assert machine.refused(from_client(payload=b"456", seq=start + 3)) == DropReason.SPLICE_ORDER
    assert machine.splice.head == start + 5


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (OTHER, Back.FOOTPRINT),
        (HEAD[:-4], Back.SPLIT),
        (HEAD + b"G", Back.PIPELINED),
        (HEAD.replace(b"1.1", b"1.0"), Back.HEAD),
    ],
)
def test_what_goes_back_is_told_with_its_bytes_and_held(machine: Machine, payload: bytes, why: Back) -> None:
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client(payload=HEAD))
    answered(machine)
    before = time.monotonic_ns()
    assert machine.refused(second(payload)) == DropReason.SPLICE_HELD
    (event,) = machine.events()
    assert before <= event.at_ns == machine.splice.deadline_ns - NSEC <= time.monotonic_ns()
    assert (event.type, event.id, event.generation, event.why) == (EventType.BACK, ID, machine.splice.generation, why)
    assert (event.seq, event.len, bytes(event.bytes)[: event.captured]) == (C_SEQ + len(HEAD), len(payload), payload)
    assert (machine.splice.state, machine.splice.back) == (State.BACK, why)
    assert machine.refused(second(HEAD)) == DropReason.SPLICE_HELD and not machine.events()


def test_the_acknowledged_tail_is_told_once(machine: Machine) -> None:
    machine.carry(state=State.TAIL)
    assert machine.send(from_client("A", ack=C_ACK - 1)) == TC_ACT_OK
    assert machine.splice.state == State.TAIL and not machine.events()
    assert machine.send(from_client("A")) == TC_ACT_OK
    assert (machine.splice.state, [event.type for event in machine.events()]) == (State.ACTIVE, [EventType.TAIL])
    assert machine.send(from_client("A")) == TC_ACT_REDIRECT and not machine.events()


def test_a_request_that_acknowledges_the_tail_completes_it_and_goes_on(machine: Machine) -> None:
    machine.carry(state=State.TAIL, kind=Kind.GUARDED)
    assert machine.send(from_client(payload=HEAD)) == TC_ACT_REDIRECT
    assert (machine.splice.state, [event.type for event in machine.events()]) == (State.ACTIVE, [EventType.TAIL])


def close_up(machine: Machine) -> None:
    machine.send(from_client("FA"))


def close_down(machine: Machine) -> None:
    machine.send(from_endpoint("FA"))


@pytest.mark.parametrize(
    "order", [(close_up, close_down), (close_down, close_up)], ids=["client first", "endpoint first"]
)
def test_it_closes_when_both_have_ended_and_know_it(
    machine: Machine, order: tuple[Callable[[Machine], None], ...]
) -> None:
    machine.carry()
    for close in order:
        close(machine)
        assert machine.splice.state == State.ACTIVE
    machine.send(from_endpoint("A", seq=S_ACK + 1, ack=S_SEQ + 1))
    assert machine.splice.state == State.ACTIVE
    machine.send(from_client("A", seq=C_SEQ + 1, ack=C_ACK + 1))
    assert machine.splice.state == State.CLOSED
    assert [event.type for event in machine.events()] == [EventType.END]
    assert machine.send(from_client("FA")) == TC_ACT_REDIRECT  # a repeated FIN is carried still


def test_half_a_connection_goes_on(machine: Machine) -> None:
    machine.carry()
    close_up(machine)
    machine.send(from_endpoint("A", ack=S_SEQ + 1))
    for n in range(3):
        assert machine.send(from_endpoint(payload=b"more", seq=S_ACK + 4 * n, ack=S_SEQ + 1)) == TC_ACT_REDIRECT
    assert machine.splice.state == State.ACTIVE


@pytest.mark.parametrize(
    ("offset", "state"), [(0, State.CLOSED), (1, State.ACTIVE), (1000, State.ACTIVE), (-1, State.ACTIVE)]
)
def test_a_reset_is_believed_where_its_receiver_expects_it(machine: Machine, offset: int, state: State) -> None:
    """Every one is carried: the receiver challenges what is near (RFC 5961 section 3)."""
    machine.carry()
    assert machine.send(from_client("R", seq=C_SEQ + offset)) == TC_ACT_REDIRECT
    assert machine.splice.state == state
    machine.carry()
    assert machine.send(from_endpoint("R", seq=S_ACK + offset)) == TC_ACT_REDIRECT
    assert machine.splice.state == state


def test_what_is_under_way_may_have_come(machine: Machine) -> None:
    """Its acknowledgement is late, so that one of several numbers is the one that the receiver expects."""
    for offset, state in ((0, State.CLOSED), (3, State.CLOSED), (5, State.CLOSED), (6, State.ACTIVE)):
        machine.carry()
        machine.send(from_endpoint(payload=b"bytes"))
        machine.send(from_endpoint("R", seq=S_ACK + offset))
        assert machine.splice.state == state


@pytest.mark.parametrize(
    "goes_on",
    [
        from_client(payload=b"x"),
        from_client("FA"),
        from_endpoint(payload=b"x"),
        from_endpoint("FA"),
    ],
    ids=["bytes of the client", "FIN of the client", "bytes of the endpoint", "FIN of the endpoint"],
)
@pytest.mark.parametrize(
    "damaged", [from_client("R", chksum=0x1234), from_endpoint("R", chksum=0x1234)], ids=["client", "endpoint"]
)
def test_who_sends_on_has_not_been_reset(machine: Machine, damaged: Packet, goes_on: Packet) -> None:
    machine.carry()
    machine.send(damaged)
    assert machine.splice.state == State.CLOSED
    assert machine.send(goes_on) == TC_ACT_REDIRECT
    assert (machine.splice.state, machine.splice.flags & Flag.RESET) == (State.ACTIVE, 0)


def test_what_was_sent_before_a_reset_brings_nothing_back(machine: Machine) -> None:
    """Acknowledgements that crossed it, and what is repeated: its receiver says nothing else."""
    machine.carry()
    machine.send(from_client(payload=b"bytes"))
    machine.send(from_endpoint("R"))
    late = (from_client("A", seq=C_SEQ + 5), from_client(payload=b"bytes"), from_endpoint("A", ack=S_SEQ + 5))
    for packet in (*late, from_client("RA", seq=C_SEQ + 5), from_client("SA", seq=C_SEQ + 900)):
        machine.send(packet)
        assert machine.splice.state == State.CLOSED


def test_a_connection_that_both_have_ended_stays_so(machine: Machine) -> None:
    machine.carry(flags=Flag.FIN_UP | Flag.FIN_DOWN, state=State.CLOSED)
    machine.send(from_client(payload=b"x"))
    assert machine.splice.state == State.CLOSED


def test_a_tail_that_was_not_acknowledged_is_one_again(machine: Machine) -> None:
    machine.carry(state=State.TAIL, tail_end=C_ACK + 10)
    machine.send(from_endpoint("R"))
    assert machine.splice.state == State.CLOSED
    machine.send(from_endpoint(payload=b"x"))
    assert machine.splice.state == State.TAIL


def test_after_a_reset_that_the_endpoint_never_took_requests_are_judged(machine: Machine) -> None:
    """What is new has it live again, and what is not covered goes back; what was refused before opens nothing."""
    machine.carry(kind=Kind.GUARDED)
    machine.send(from_client("R", chksum=0x1234))
    assert machine.refused(from_client(payload=OTHER)) == DropReason.SPLICE_HELD
    assert [event.type for event in machine.events()] == [EventType.END, EventType.BACK]
    machine.carry(kind=Kind.GUARDED, deadline_ns=2**63 - 1)
    assert machine.refused(from_client(payload=OTHER)) == DropReason.SPLICE_EARLY
    machine.send(from_client("R", chksum=0x1234))
    assert machine.splice.state == State.CLOSED
    assert machine.refused(from_client(payload=OTHER)) == DropReason.SPLICE_HELD
    assert [event.type for event in machine.events()] == [EventType.END]


def test_an_acknowledgement_of_what_was_never_sent_counts_for_nothing(machine: Machine) -> None:
    machine.carry()
    machine.send(from_client("A", ack=C_ACK + 1))
    assert machine.splice.acked[0] == C_ACK


def test_the_last_window_is_remembered(machine: Machine) -> None:
    """It is what a socket that is made again begins with; an older acknowledgement's may have been overtaken."""
    machine.carry(window=(1, 2))
    machine.send(from_client("A", window=300))
    machine.send(from_client("A", ack=C_ACK - 1, window=400))
    machine.send(from_client("A", ack=C_ACK + 1, window=500))
    machine.send(from_endpoint("A", window=600))
    assert list(machine.splice.window) == [300, 600]


def test_a_timestamp_of_zero_is_one(machine: Machine) -> None:
    machine.carry(flags=Flag.TIMESTAMPS, clock_base=(50_000, 0), created_ns=time.monotonic_ns())
    machine.send(from_client("A", options=[("NOP", None), ("NOP", None), ("Timestamp", (0, 0))]))
    assert machine.splice.flags & Flag.TS_UP and machine.splice.clock[0] > 50_000


def test_the_clock_of_a_way_is_learnt_from_its_first_timestamp(machine: Machine) -> None:
    def stamp(value: int) -> Packet:
        return from_client("A", options=[("NOP", None), ("NOP", None), ("Timestamp", (value, 0))])

    machine.carry(flags=Flag.TIMESTAMPS, clock_base=(50_000, 90_000), created_ns=time.monotonic_ns())
    machine.send(stamp(777))
    splice = machine.splice
    # What the endpoint is told goes on from what our socket had told it: a millisecond is one tick.
    assert splice.flags & Flag.TS_UP and 50_000 < (splice.clock[0] + 777) % 2**32 <= 55_000
    machine.send(stamp(1777))
    assert machine.splice.clock[0] == splice.clock[0]


def test_a_damaged_packet_of_a_splice_never_aborts_and_passes_only_unchanged(machine: Machine) -> None:
    rng = random.Random(11)
    corpus = [bytes(row.packet_in) for row in splice_rows.ROWS]
    for kind in (Kind.OPAQUE, Kind.GUARDED):
        machine.carry(kind=kind)
        for _ in range(1500):
            packet = damaged(rng.choice(corpus), rng, least=54)
            ran = machine.ran(packet)
            assert ran.verdict in (TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT)
            assert ran.verdict != TC_ACT_OK or ran.packet == packet
