import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from userspace.proxy.splice_wire import MAX_BYTES, READS, SpliceWire


class Ends:
    """A wire, what it told, and its other end."""

    def __init__(self) -> None:
        self.came: list[Mapping[str, Any]] = []
        self.sockets: list[socket.socket] = []
        self.ended = 0
        self.troubles: list[str] = []
        self.far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loop = asyncio.get_running_loop()
        self.wire = SpliceWire(loop, near, self._take, self._end, self.troubles.append)

    def _take(self, message: Mapping[str, Any], sockets: list[socket.socket]) -> None:
        if message.get("type") == "bad":
            raise KeyError("tag")
        self.came.append(message)
        self.sockets += sockets

    def _end(self) -> None:
        self.ended += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)


@pytest.fixture
async def ends() -> Any:
    made = Ends()
    yield made
    made.wire.close()
    made.far.close()
    for sock in made.sockets:
        sock.close()


async def test_what_is_sent_arrives_with_duplicates_of_its_descriptors(ends: Ends) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert ends.wire.send({"type": "splice", "tag": 1}, [one.fileno()])
        data, fds, _, _ = socket.recv_fds(ends.far, 1000, 4)
        assert data == b'{"type":"splice","tag":1}' and len(fds) == 1
        one.close()
        os.write(fds[0], b"x")
        assert other.recv(1) == b"x"
        os.close(fds[0])


async def test_more_than_one_turn_takes_comes_in_order_with_its_sockets(ends: Ends) -> None:
    one, other = socket.socketpair()
    with one, other:
        for number in range(READS + 5):
            socket.send_fds(ends.far, [b'{"n": %d}' % number], [one.fileno()] if number == READS else [])
    await ends.until(lambda: len(ends.came) == READS + 5)
    assert [message["n"] for message in ends.came] == list(range(READS + 5))
    [came] = ends.sockets
    assert not os.get_inheritable(came.fileno())


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"type": "bad"}'])
async def test_a_bad_message_is_told_of_closed_and_passed_over(ends: Ends, data: bytes) -> None:
    one, other = socket.socketpair()
    socket.send_fds(ends.far, [data], [one.fileno()])
    one.close()
    ends.far.send(b'{"type": "good"}')
    await ends.until(lambda: bool(ends.came))
    assert ends.came == [{"type": "good"}] and len(ends.troubles) == 1
    other.settimeout(5)
    assert other.recv(1) == b""  # nobody holds it
    other.close()


async def test_what_the_node_does_not_take_is_not_sent_and_nobody_waits(ends: Ends) -> None:
    sent = 0
    while ends.wire.send({"type": "splice", "filler": "x" * 1000}):
        sent += 1
    assert sent > 1 and ends.wire.is_open
    ends.far.recv(2000)
    assert ends.wire.send({"type": "splice"})
    assert not ends.wire.send({"filler": "x" * MAX_BYTES})


async def test_its_end_is_told_once_and_then_nothing_is_sent(ends: Ends) -> None:
    ends.far.close()
    await ends.until(lambda: ends.ended == 1)
    ends.wire.close()
    assert (ends.ended, ends.wire.is_open, ends.wire.send({"type": "splice"})) == (1, False, False)
