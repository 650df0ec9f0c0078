"""The wire about splices: what a worker may say, and what becomes of one that says or reads nothing sensible."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from userspace.node import splice_wire
from userspace.node.splice_abi import Kind
from userspace.node.splice_wire import Covered, Logged, Malformed, SpliceRequest, SpliceWire, pair, parse

GUARD = {"mask": 5, "hashes": [str(n) for n in range(8)], "extra_name": "0", "decision": str(2**64 - 1)}
LOG = {"revision": 12, "sticky": "valid", "vpc_id": "blue"}
SPLICE = {
    "type": "splice",
    "tag": 7,
    "kind": "guarded",
    "tail": 120,
    "edition": 3,
    "route": "r1",
    "upstream": "u1",
    "endpoint": "10.1.0.21:80",
    "guard": GUARD,
    "client": ["203.0.113.9", 4000],
}


def message(**changes: Any) -> bytes:
    return orjson.dumps({name: value for name, value in (SPLICE | changes).items() if value is not ...})


def test_a_request_is_read_whole() -> None:
    found = parse(message())
    assert isinstance(found, SpliceRequest)
    assert (found.tag, found.kind, found.tail, found.edition) == (7, Kind.GUARDED, 120, 3)
    assert found.owner == ("r1", "u1", "10.1.0.21:80")
    assert list(found.guard.hashes) == list(range(8))
    assert (found.guard.mask, found.guard.decision) == (5, 2**64 - 1)
    assert found.client == ["203.0.113.9", 4000]


def test_an_opaque_one_needs_no_guard_and_nobody_needs_to_name_the_client() -> None:
    found = parse(message(kind="opaque", guard=..., client=...))
    assert isinstance(found, SpliceRequest)
    assert (found.kind, found.guard.mask, found.client) == (Kind.OPAQUE, 0, None)


def test_what_the_access_log_says_of_it_is_read_where_it_says_something() -> None:
    found = [parse(message(**changes)) for changes in ({"log": LOG}, {"log": None}, {})]
    assert [one.log for one in found if isinstance(one, SpliceRequest)] == [Logged(12, "valid", "blue"), None, None]


def test_what_a_decision_covers_is_read() -> None:
    assert parse(orjson.dumps({"type": "covered", "decision": "12", "path": "34"})) == Covered(12, 34)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "back"},
        {"type": ...},
        {"kind": "transparent"},
        {"kind": 1},
        {"tail": -1},
        {"tail": True},
        {"tail": "1"},
        {"tail": 1 << 32},
        {"edition": 1.5},
        {"route": "x" * 257},
        {"route": None},
        {"endpoint": ...},
        {"guard": ...},
        {"guard": GUARD | {"mask": 256}},
        {"guard": GUARD | {"hashes": ["1"] * 7}},
        {"guard": GUARD | {"hashes": ["1"] * 9}},
        {"guard": GUARD | {"hashes": [1] * 8}},
        {"guard": GUARD | {"decision": str(2**64)}},
        {"guard": GUARD | {"decision": "-1"}},
        {"guard": GUARD | {"extra_name": "0x1"}},
        {"client": "x" * 1024},
        {"log": {}},
        {"log": []},
        {"log": LOG | {"sticky": "moved"}},
        {"log": LOG | {"sticky": ["valid"]}},
        {"log": LOG | {"revision": -1}},
        {"log": LOG | {"vpc_id": 7}},
        {"log": LOG | {"vpc_id": "x" * 257}},
    ],
)
def test_anything_else_is_refused_by_its_tag(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as raised:
        parse(message(**changes))
    assert raised.value.tag == 7


@pytest.mark.parametrize("datagram", [b"", b"{", b"[]", b"null", b'"x"', message(tag="7"), message(tag=...)])
def test_what_has_no_tag_is_refused_without(datagram: bytes) -> None:
    with pytest.raises(Malformed) as raised:
        parse(datagram)
    assert raised.value.tag is None


class Node:
    """What a wire calls: takes notes."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, list[int]]] = []
        self.ends = 0

    def on_datagram(self, wire: SpliceWire, data: bytes, fds: list[int]) -> None:
        self.heard.append((data, fds))

    def on_end(self, wire: SpliceWire) -> None:
        self.ends += 1


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not holds():
            await asyncio.sleep(0)


def test_datagrams_bring_their_sockets_and_take_some_back() -> None:
    async def scenario() -> None:
        node, (ours, theirs) = Node(), pair()
        wire = SpliceWire(ours, node.on_datagram, node.on_end)
        with theirs, socket.socket() as passed:
            socket.send_fds(theirs, [b"one"], [passed.fileno(), passed.fileno()])
            theirs.send(b"two")
            await until(lambda: len(node.heard) == 2)
            (first, fds), second = node.heard
            assert (first, len(fds), second) == (b"one", 2, (b"two", []))
            for fd in fds:
                assert os.fstat(fd).st_ino == os.fstat(passed.fileno()).st_ino
                assert not os.get_inheritable(fd)
                os.close(fd)
            assert wire.send({"type": "back"}, (passed.fileno(),))
            data, back, _, _ = socket.recv_fds(theirs, 100, 1)
            assert (data, len(back)) == (b'{"type":"back"}', 1)
            os.close(back[0])
        await until(lambda: node.ends)
        assert not wire.is_open
        assert not wire.send({"type": "back"})

    asyncio.run(scenario())


def test_a_worker_that_reads_nothing_loses_its_wire() -> None:
    async def scenario() -> None:
        node, (ours, theirs) = Node(), pair()
        wire = SpliceWire(ours, node.on_datagram, node.on_end)
        with theirs:
            for _ in range(100_000):
                if not wire.send({"type": "refused", "tag": 1, "reason": "x" * 1000}):
                    break
            assert node.ends == 1
            assert not wire.is_open

    asyncio.run(scenario())


def test_a_worker_that_talks_without_end_lets_others_speak() -> None:
    async def scenario() -> None:
        node, (ours, theirs) = Node(), pair()
        wire = SpliceWire(ours, node.on_datagram, node.on_end)
        with theirs:
            theirs.setblocking(False)
            sent = 0
            while sent < 2 * splice_wire.AT_ONCE:
                theirs.send(b"x")
                sent += 1
            await asyncio.sleep(0)
            assert len(node.heard) <= splice_wire.AT_ONCE
            await until(lambda: len(node.heard) == sent)
        wire.close()

    asyncio.run(scenario())


def test_more_descriptors_than_are_due_are_closed() -> None:
    async def scenario() -> None:
        node, (ours, theirs) = Node(), pair()
        wire = SpliceWire(ours, node.on_datagram, node.on_end)
        before = len(os.listdir("/proc/self/fd"))
        with theirs:
            socket.send_fds(theirs, [b"many"], [0, 0, 0, 0, 0, 0])
            await until(lambda: node.heard)
            assert node.heard == [(b"many", [])]
            assert len(os.listdir("/proc/self/fd")) == before
        wire.close()

    asyncio.run(scenario())
