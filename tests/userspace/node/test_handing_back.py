"""With which numbers a client's connection goes on."""

import pytest

from tests.packets import flow
from userspace.node import handing_back
from userspace.node.splice_abi import Flag, Splice, SpliceEvent

UP, DOWN = flow("203.0.113.9", 4210, "10.1.0.11", 80), flow("10.1.0.21", 80, "10.1.0.11", 50000)
MS = 1_000_000
NOW = 8 * MS


def splice(**fields: int) -> Splice:
    made = Splice(sack=1, created_ns=5 * MS, **fields)
    made.from_[0], made.from_[1] = UP, DOWN
    made.scale_from[:], made.scale_to[:] = (7, 10), (3, 9)
    made.delta[:] = 1_000, 4_000
    made.end[:] = 900, 500
    made.acked[:] = 4_500, 1_900
    made.mss[:] = 1400, 1380
    made.window[:] = 501, 65
    made.clock[:], made.clock_base[:], made.last_ts[:] = (0, 3_000), (0, 90_000), (0, 70_000)
    return made


def restart(made: Splice, now_ms: int = 8) -> handing_back.Restart:
    event = SpliceEvent(seq=700, len=9, captured=5)
    event.bytes[:5] = b"GET /"
    return handing_back.restart_of(made, event, now_ms * MS)


def test_it_goes_on_where_the_endpoint_stopped_and_the_client_began() -> None:
    found = restart(splice(flags=Flag.TIMESTAMPS))
    assert (found.local, found.peer) == (("10.1.0.11", 80), ("203.0.113.9", 4210))
    assert (found.send_next, found.receive_next, found.data) == (4_500, 700, b"GET /")
    assert (found.mss, found.send_scale, found.receive_scale, found.sack) == (1400, 7, 9, True)


def test_numbers_wrap() -> None:
    made = splice()
    made.end[1] = 0xFFFFFFFF
    assert restart(made).send_next == 3_999
    made.acked[0] = 3_999
    assert handing_back.is_settled(made, b"", NOW)


def test_windows_are_what_each_end_was_last_told() -> None:
    found = restart(splice())
    assert found.send_window == 501 << 7
    assert found.receive_window == 65 << 10
    wide = splice()
    wide.window[1] = 0xFFFF
    assert restart(wide).receive_window == 0xFFFF << 9  # as much as the window field could say


@pytest.mark.parametrize(
    ("flags", "clock"),
    [
        (0, None),
        (Flag.TIMESTAMPS, 90_000 + 3 + 1),  # nothing has come from the endpoint: our socket's clock, and time since
        (Flag.TIMESTAMPS | Flag.TS_DOWN, 73_001),
    ],
)
def test_the_clock_goes_on(flags: int, clock: int | None) -> None:
    assert restart(splice(flags=flags)).clock == clock


def test_a_connection_with_something_under_way_cannot_come_back() -> None:
    assert handing_back.is_settled(splice(), b"", NOW)
    assert not handing_back.is_settled(splice(flags=Flag.AWAITS), b"", NOW)
    made = splice()
    made.acked[0] -= 1
    assert not handing_back.is_settled(made, b"", NOW)


def test_a_connection_in_the_middle_of_an_answer_cannot_come_back() -> None:
    made = splice(requests=1)
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n!"
    made.answer, made.said_len, made.bytes[1] = made.end[1] - len(said), len(said), len(said)
    assert not handing_back.is_settled(made, said, NOW)


def test_a_short_record_reads_as_an_event() -> None:
    event = handing_back.event_of(bytes(SpliceEvent(id=7))[:32])
    assert (event.id, event.captured) == (7, 0)
