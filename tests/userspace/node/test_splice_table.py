"""Slots and entries: no generation twice, nothing half, nothing of somebody else's removed."""

from collections.abc import Iterator
from ctypes import c_uint32, sizeof

import pytest

from tests.packets import flow
from tests.userspace.node.splice_maps import splice_maps
from userspace.node import abi
from userspace.node.abi import Direction
from userspace.node.maps import Table
from userspace.node.splice_abi import Answer, Flag, Kind, Splice, SpliceEnd, State
from userspace.node.splice_table import BLOCK, Session, SpliceTable

pytestmark = pytest.mark.bpf
UP, DOWN = flow("203.0.113.9", 4210, "10.1.0.11", 80), flow("10.1.0.21", 80, "10.1.0.11", 50000)
REPLY = flow("192.168.0.10", 80, "198.18.1.1", 6000, vni=10010)
FORWARD = flow("10.1.0.11", 50000, "100.64.0.1", 80)


GUARDED = {"kind": Kind.GUARDED}


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    with splice_maps() as found:
        yield found


def splice(generation: int, down: abi.Flow = DOWN, **fields: int) -> Splice:
    made = Splice(generation=generation, state=State.ACTIVE, **fields)
    made.from_[0], made.from_[1] = UP, down
    return made


def ends(tables: dict[str, Table]) -> int:
    return len(tables["splice_ends"].items())


def test_every_slot_is_given_out_once_and_none_is_0(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    given = [table.take() for _ in range(table.size + 1)]
    assert given.pop() is None
    assert {slot[0] for slot in given if slot} == set(range(1, 600))
    table.give_back(7)
    assert table.take() == (7, 2)


def test_a_generation_is_never_used_twice(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    slots = [table.take() for _ in range(table.size)]
    id, generation = slots[0] or (0, 0)
    made = splice(generation)
    table.write(id, made, None)
    table.remove(id, made)
    assert table.take() == (id, generation + 1)
    # Nor by the next node.
    table.write(id, splice(generation + 1), None)
    table.remove(id, splice(generation + 1))
    later = SpliceTable(tables)
    assert (id, generation + 2) in [later.take() for _ in range(later.size)]


def test_a_splice_is_found_in_its_block(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    for id in (1, BLOCK - 1, BLOCK, 599):
        table.put(id, splice(id))
    assert [id for n in range(3) for id, s in table.block(n) if s.generation] == [1, BLOCK - 1, BLOCK, 599]
    assert [(id, s.generation) for id, s in SpliceTable(tables).living()] == [(n, n) for n in (1, 255, 256, 599)]


def test_removing_spares_what_another_use_has_written(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    table.write(1, splice(1), None)
    table.write(2, splice(1), None)  # the client has used its port again
    table.remove(1, splice(1))
    assert ends(tables) == 2
    table.remove(2, splice(1))
    assert ends(tables) == 0


def test_what_does_not_fit_leaves_nothing(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    number = 0
    with pytest.raises(OSError):
        while True:
            number += 1
            tables["splice_ends"].put(flow("203.0.113.9", number, "10.1.0.11", 81), SpliceEnd())
    for key, _ in tables["splice_ends"].items()[:1]:
        tables["splice_ends"].delete(key)
    with pytest.raises(OSError):
        table.write(1, splice(1, **GUARDED), None)  # there is room for one of its ends
    assert tables["splice_ends"].get(DOWN) is None
    assert tables["answers"].items() == []
    assert table.get(1).state == State.FREE


def test_a_session_is_taken_over_and_given_back(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    forward = bytes(abi.Session(peer=REPLY, direction=Direction.FORWARD, tunnel_sport=50001))
    reply = bytes(abi.Session(peer=FORWARD, direction=Direction.REPLY, account=3))
    session = Session(bytes(FORWARD), forward, reply)
    assert abi.text(session.tunnel.unique_ip) == "100.64.0.1"
    assert (bytes(session.tunnel.reply), session.tunnel.sport) == (bytes(REPLY), 50001)
    made = splice(1, REPLY, flags=Flag.VPC)
    table.write(1, made, session)
    table.undo(1, made, session)
    assert dict(tables["sessions"].items()) == {bytes(FORWARD): forward, bytes(REPLY): reply}
    assert ends(tables) == 0


def test_entries_of_no_splice_go(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    table.write(1, splice(1), None)
    tables["splice_ends"].put(flow("203.0.113.9", 1, "10.1.0.11", 81), SpliceEnd(id=1, generation=9))
    tables["sessions"].put(REPLY, abi.Session(direction=Direction.SPLICED, target=2, target_generation=1))
    tables["sessions"].put(FORWARD, abi.Session(direction=Direction.FORWARD, target=2))
    assert table.orphans() == 2
    assert ends(tables) == 2
    assert tables["sessions"].get(FORWARD) is not None
    assert tables["splices"].get(c_uint32(1)) is not None


def test_a_guarded_splice_has_room_for_how_an_answer_begins_and_no_other(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    made, tunnel = splice(1, said_len=4, **GUARDED), splice(1, kind=Kind.OPAQUE)
    table.write(1, made, None)
    table.write(2, tunnel, None)
    tables["answers"].put(c_uint32(1), Answer.from_buffer_copy(b"HTTP/1.1".ljust(sizeof(Answer))))
    assert (table.said(1, made), table.said(2, tunnel)) == (b"HTTP", b"")
    tables["answers"].put(c_uint32(7), Answer())  # of a node that died in between
    assert table.orphans() == 1
    assert [key for key, _ in tables["answers"].items()] == [bytes(c_uint32(1))]
    table.remove(1, made)
    assert tables["answers"].items() == []


def test_a_splice_begins_with_no_answer(tables: dict[str, Table]) -> None:
    tables["answers"].put(c_uint32(1), Answer.from_buffer_copy(b"HTTP/1.1".ljust(sizeof(Answer))))
    SpliceTable(tables).write(1, splice(1, **GUARDED), None)
    assert tables["answers"].get(c_uint32(1)) == bytes(Answer())


def test_where_there_is_no_room_for_an_answer_there_is_no_splice(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    for id in range(tables["answers"].shape.max_entries):
        tables["answers"].put(c_uint32(1000 + id), Answer())
    with pytest.raises(OSError):
        table.write(1, splice(1, **GUARDED), None)
    assert (table.get(1).state, ends(tables)) == (State.FREE, 0)


def test_what_a_splice_has_counted_stays_until_its_slot_is_used_again(tables: dict[str, Table]) -> None:
    table = SpliceTable(tables)
    made = splice(1)
    table.write(1, made, None)
    table.put(1, splice(1, requests=5, status=404))  # the kernel has counted meanwhile
    table.remove(1, made)
    left = table.get(1)
    assert (left.state, left.generation, left.requests, left.status) == (State.FREE, 1, 5, 404)
    assert not table.living() and ends(tables) == 0
    table.write(1, splice(2), None)
    table.remove(1, splice(3))
    assert (table.get(1).generation, table.get(1).requests) == (3, 0)
