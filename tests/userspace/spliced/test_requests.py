"""Records in, finished requests out: in order, lost, repeated, silent, taken over."""

import random
from ctypes import sizeof

import pytest

from tests.userspace.spliced.records import HEAD, NSEC, record
from userspace.node import abi
from userspace.node.splice_abi import Flag, Kind, Splice, SplicedRequest, State
from userspace.spliced.requests import FIXED, SILENT, Finished, Requests, figures

OTHER = HEAD.replace(b"/a", b"/other")


class Scene:
    """Requests, and what came out of them."""

    def __init__(self) -> None:
        self.finished = list[Finished]()
        self.requests = Requests(self.finished.append)

    def takes(self, *records: bytes, at: float = 0.0) -> "Scene":
        for each in records:
            self.requests.take(each, at)
        return self

    @property
    def heads(self) -> list[bytes]:
        return [request.head for request in self.finished]


def test_a_record_is_read_as_the_kernel_lays_it_out() -> None:
    raw = random.Random(3).randbytes(FIXED.size)
    struct = SplicedRequest.from_buffer_copy(raw)
    assert FIXED.size == sizeof(SplicedRequest)
    fields = FIXED.unpack(raw)
    names = [str(name) for name, *_ in SplicedRequest._fields_][:-1]
    assert len(fields) == len(names)
    for name, value in zip(names, fields, strict=True):
        told = getattr(struct, name)
        assert value == (told if isinstance(told, int) and isinstance(value, int) else bytes_of(struct, name))


def bytes_of(struct: SplicedRequest, name: str) -> bytes:
    field = getattr(SplicedRequest, name)
    return bytes(struct)[field.offset : field.offset + field.size]


def test_a_request_is_finished_by_the_next_one_with_what_that_says() -> None:
    scene = Scene().takes(record(0), record(1, OTHER, status=404, up=70, begun_ns=5, answered_ns=9, flags=4))
    (first,) = scene.finished
    assert (first.head, first.account, first.revision, first.logged) == (HEAD, 2, 77, 1)
    assert (first.client_port, first.server_port) == ((50000).to_bytes(2, "big"), (80).to_bytes(2, "big"))
    assert (first.status, first.up, first.begun_ns, first.answered_ns, first.flags) == (404, 70, 5, 9, 4)
    assert len(scene.requests) == 1 and scene.requests.lost == 0


def test_the_last_one_is_finished_by_the_end() -> None:
    scene = Scene().takes(record(0), record(1, OTHER), record(2, b""), record(2, b""))
    assert scene.heads == [HEAD, OTHER]
    assert not len(scene.requests) and scene.requests.lost == 0


def test_an_end_without_a_request_is_no_line() -> None:
    assert not Scene().takes(record(0, b"")).finished


def test_of_bytes_alone_the_end_is_all_there_is() -> None:
    (only,) = Scene().takes(record(0, b"", kind=Kind.OPAQUE, up=7, down=9, answer=9)).finished
    assert (only.head, only.up, only.down) == (b"", 7, 9)


@pytest.mark.parametrize(
    ("down", "answer", "exact"),
    [
        (300, 300, 300),
        (900, 300, 300),
        (2**32 + 5, 5, 2**32 + 5),
        (2**32 + 100, 5, 2**32 + 5),
        (0, 0, 0),
        (0, 2**32 - 1, 0),
    ],
)
def test_what_is_repeated_is_not_counted_and_what_is_long_is(down: int, answer: int, exact: int) -> None:
    scene = Scene().takes(record(0), record(1, down=down, answer=answer))
    assert scene.finished[0].down == exact


def test_connections_do_not_mix() -> None:
    scene = Scene().takes(
        record(0, id=1), record(0, OTHER, id=2), record(1, b"", id=1, status=201), record(1, b"", id=2, status=202)
    )
    assert [(request.head, request.status) for request in scene.finished] == [(HEAD, 201), (OTHER, 202)]


@pytest.mark.parametrize(
    ("records", "lost"),
    [
        ([record(0), record(2)], 2),  # the second's: the first's end, and the second's head
        ([record(0), record(5)], 5),
        ([record(0), record(3, b"")], 3),
        ([record(0), record(0, generation=42)], 1),  # the end of the one before
        ([record(7)], 0),  # where we have come in: what was before is none of ours
    ],
)
def test_what_was_not_told_is_counted_as_lost(records: list[bytes], lost: int) -> None:
    scene = Scene().takes(*records)
    assert (scene.finished, scene.requests.lost) == ([], lost)


def test_after_a_loss_it_goes_on() -> None:
    scene = Scene().takes(record(0), record(4, OTHER), record(5, b""))
    assert (scene.heads, scene.requests.lost) == ([OTHER], 4)


def test_one_that_goes_back_is_over_when_its_connection_says_no_more() -> None:
    """The node may have it carry on, since its answer is not over: then the figures are those that come later."""
    back = record(1, b"", state=State.BACK, answer=100, down=100)
    scene = Scene().takes(record(0), back, back)
    assert not scene.finished
    scene.takes(record(1, OTHER, answer=900, down=900))
    assert [(request.head, request.down) for request in scene.finished] == [(HEAD, 900)]
    assert scene.requests.lost == 0


def test_one_that_went_back_has_what_was_said_then_when_nobody_knows_more() -> None:
    back = record(1, b"", state=State.BACK, answer=100, down=100)
    scene = Scene().takes(record(0), back, record(0, OTHER, generation=42))
    assert [(request.head, request.down) for request in scene.finished] == [(HEAD, 100)]
    again = Scene().takes(record(0), back)
    again.requests.settle(3, entry(generation=42), b"", LATE)
    assert [(request.head, request.down) for request in again.finished] == [(HEAD, 100)]
    assert (scene.requests.lost, again.requests.lost) == (0, 0)


def test_one_that_went_back_is_finished_by_the_map_as_any() -> None:
    scene = Scene().takes(record(0), record(1, b"", state=State.BACK, answer=100, down=100))
    assert scene.requests.silent(SILENT, 9) == [3]
    scene.requests.settle(3, entry(state=State.FREE), b"", LATE)
    assert [request.down for request in scene.finished] == [300]


def entry(**fields: int) -> Splice:
    """What the map says of a splice whose only request is answered with 300 bytes, one of them sent twice."""
    made = Splice(generation=41, state=State.ACTIVE, requests=1, kind=Kind.GUARDED)
    made.head, made.mark_seq, made.status, made.first_us = 1000 + len(HEAD), 1000, 200, 1200
    made.asked_at, made.end[0], made.end[1] = 9000, 1000 + len(HEAD), 9300
    made.bytes[1], made.bytes_before = 801, 500
    made.delta[1] = -4000 & 0xFFFFFFFF
    made.acked[0] = 5300
    made.request_ns, made.answered_ns = 10 * NSEC, 11 * NSEC
    for name, value in fields.items():
        setattr(made, name, value)
    return made


LATE = 20 * NSEC


def test_who_is_silent_is_asked_about_the_longest_silent_first_and_not_all_the_time() -> None:
    scene = Scene()
    scene.takes(record(0, id=1), at=0).takes(record(0, id=2), at=1).takes(record(0, id=3), at=2)
    assert scene.requests.silent(SILENT - 0.1, 9) == []
    assert scene.requests.silent(SILENT + 1.1, 9) == [1, 2]
    assert scene.requests.silent(SILENT + 1.1, 9) == []
    assert scene.requests.silent(2 * SILENT + 3, 2) == [3, 1]
    scene.takes(record(1, id=2), at=20)
    assert scene.requests.silent(20 + SILENT, 9) == [3, 1, 2]


def test_a_silent_one_is_finished_by_the_map_and_once() -> None:
    scene = Scene().takes(record(0))
    scene.requests.settle(3, entry(), b"", LATE)
    (only,) = scene.finished
    assert (only.head, only.status, only.up, only.down, only.first_us) == (HEAD, 200, len(HEAD), 300, 1200)
    assert (only.begun_ns, only.answered_ns) == (10 * NSEC, 11 * NSEC)
    scene.requests.settle(3, entry(), b"", LATE)
    scene.takes(record(1, OTHER), record(2, b""))
    assert (scene.heads, scene.requests.lost) == ([HEAD, OTHER], 0)


@pytest.mark.parametrize(
    "fields",
    [{"flags": Flag.AWAITS}, {"answered_ns": LATE - NSEC}, {"state": State.TAIL, "flags": Flag.AWAITS}],
)
def test_one_that_is_not_over_stays(fields: dict[str, int]) -> None:
    scene = Scene().takes(record(0))
    scene.requests.settle(3, entry(**fields), b"", LATE)
    assert not scene.finished and len(scene.requests) == 1


def test_one_whose_answer_is_still_on_its_way_stays() -> None:
    waits = entry()
    waits.acked[0] = 5299
    scene = Scene().takes(record(0))
    scene.requests.settle(3, waits, b"", LATE)
    assert not scene.finished and len(scene.requests) == 1


def test_one_of_whose_answer_more_is_to_come_stays_however_long_that_takes() -> None:
    pauses = entry()
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"
    pauses.answer, pauses.said_len = 9000, len(said)
    scene = Scene().takes(record(0))
    scene.requests.settle(3, pauses, said, LATE)
    assert not scene.finished and len(scene.requests) == 1


@pytest.mark.parametrize("state", [State.FREE, State.CLOSED, State.BACK])
def test_one_whose_splice_has_ended_is_over_whatever_came(state: State) -> None:
    scene = Scene().takes(record(0))
    scene.requests.settle(3, entry(state=state, flags=Flag.AWAITS, status=0), b"", LATE)
    assert [request.flags for request in scene.finished] == [Flag.AWAITS]


def test_what_the_node_ends_is_over_at_once_and_for_its_reason() -> None:
    scene = Scene().takes(record(0))
    scene.requests.end(3, entry(), "age", LATE)
    (only,) = scene.finished
    assert (only.head, only.down, only.answered_ns, only.why) == (HEAD, 300, 11 * NSEC, "age")
    scene.requests.end(3, entry(), "age", LATE)
    scene.requests.settle(3, entry(state=State.FREE), b"", LATE)
    assert (scene.heads, scene.requests.lost, len(scene.requests)) == ([HEAD], 0, 0)


def test_one_without_an_answer_took_until_the_node_ended_it() -> None:
    scene = Scene().takes(record(0))
    scene.requests.end(3, entry(flags=Flag.AWAITS, answered_ns=NSEC), "idle", LATE)
    assert [(only.answered_ns, only.why) for only in scene.finished] == [(LATE, "idle")]


@pytest.mark.parametrize("fields", [{"generation": 42}, {"requests": 2}])
def test_an_end_of_another_request_ends_nothing(fields: dict[str, int]) -> None:
    scene = Scene().takes(record(0))
    scene.requests.end(3, entry(**fields), "age", LATE)
    scene.requests.end(4, entry(), "age", LATE)
    assert (scene.finished, scene.requests.lost, len(scene.requests)) == ([], 0, 1)


def test_of_bytes_alone_that_the_node_ends_all_is_told() -> None:
    scene = Scene()
    tunnel = entry(kind=Kind.OPAQUE, created_ns=7 * NSEC, logged=1, account=2, revision=77, client_port=50000)
    tunnel.client, tunnel.from_[0].daddr, tunnel.from_[0].dport = abi.addr("203.0.113.7"), abi.addr("10.0.0.10"), 80
    tunnel.bytes[0] = 7
    scene.requests.end(3, tunnel, "idle", LATE)
    Requests(scene.finished.append).take(
        record(0, b"", kind=Kind.OPAQUE, begun_ns=7 * NSEC, answered_ns=LATE, up=7, down=801, answer=801), 0
    )
    by_node, by_kernel = scene.finished
    assert by_node == by_kernel._replace(why="idle")


@pytest.mark.parametrize("fields", [{"generation": 42}, {"requests": 2}])
def test_one_whose_end_nobody_knows_any_more_is_lost(fields: dict[str, int]) -> None:
    scene = Scene().takes(record(0))
    scene.requests.settle(3, entry(**fields), b"", LATE)
    assert (scene.finished, scene.requests.lost, len(scene.requests)) == ([], 1, 0)


def test_a_body_that_was_cut_short_has_the_bytes_that_came() -> None:
    cut = entry()
    cut.head = 1000 + len(HEAD) + 50
    assert figures(cut).up == len(HEAD)


def test_a_fin_is_no_byte() -> None:
    closed = entry(flags=Flag.FIN_DOWN)
    closed.end[1] += 1
    assert figures(closed).down == 300


def test_a_successor_knows_what_was_said_when_a_connection_went_back() -> None:
    before, after = Scene().takes(record(0), record(1, b"", state=State.BACK, answer=100, down=100)), Scene()
    for left in before.requests.records():
        after.requests.restore(left, 0.0)
    after.takes(record(0, generation=42))
    assert [request.down for request in after.finished] == [100]


def test_a_successor_finishes_what_is_left() -> None:
    before, after = Scene().takes(record(0), record(1, OTHER)), Scene()
    for left in before.requests.records():
        after.requests.restore(left, 0.0)
    after.takes(record(2, status=204))
    assert [(request.head, request.status) for request in after.finished] == [(OTHER, 204)]
    assert (len(before.finished), after.requests.lost) == (1, 0)


@pytest.mark.parametrize("left", [b"", b"x" * 20, record(1, b"")])
def test_what_is_no_record_of_a_request_is_not_taken_over(left: bytes) -> None:
    scene = Scene()
    scene.requests.restore(left, 0.0)
    assert not len(scene.requests)
