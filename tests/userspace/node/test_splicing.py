"""The broker with real sockets and maps, and a datapath of which only the events are: all that a splice passes."""

import asyncio
import errno
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from ctypes import c_uint32
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.node.legs import is_silent, read
from tests.userspace.node.splice_maps import Region, region, splice_maps
from userspace.node import splicing
from userspace.node.handing_back import AGAIN_NS
from userspace.node.handing_over import HandingOver
from userspace.node.maps import Table
from userspace.node.routes import Routes
from userspace.node.splice_abi import Back, EventType, Flag, Splice, SpliceEvent, State
from userspace.node.splice_accounts import SpliceAccounts
from userspace.node.splice_ageing import NSEC, SpliceLimits
from userspace.node.splice_guard import SpliceGuard
from userspace.node.splice_table import SpliceTable
from userspace.node.splicing import Splicing
from userspace.node.toa_peers import ToaPeers
from userspace.obs import durations

pytestmark = pytest.mark.bpf
GUARD = {"mask": 5, "hashes": ["0"] * 8, "extra_name": "0", "decision": "9"}
TAIL = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
AT_NS = 1
REQUEST = b"GET /other HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def place() -> Iterator[Region]:
    with region() as found:
        yield found


class Events:
    """A ring that the test writes."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0)
        self.records: list[bytes] = []

    def read(self) -> Iterator[bytes]:
        while self.records:
            yield self.records.pop(0)

    def close(self) -> None:
        pass


class Scene:
    """A node, one worker's wire, and the connections that it asks splices for."""

    def __init__(self, place: Region, tables: dict[str, Table], path: Path, stack: ExitStack, **limits: float) -> None:
        self.place, self.tables, self.stack = place, tables, stack
        self.events, self.told = Events(), list[tuple[Splice, bool]]()
        self.ends = list[tuple[int, int, str]]()
        accounts = SpliceAccounts(tables["splice_counts"], path / "names", lambda index: self.node.in_use(index))
        self.table, self.guard = SpliceTable(tables), SpliceGuard(tables, accounts.of_upstreams)
        over = HandingOver(self.table, self.guard, accounts, Routes(), ToaPeers(None), place.device, lambda *_: None)
        self.node = Splicing(
            *(self.table, self.guard, over, accounts, self.events),  # type: ignore[arg-type]
            lambda splice, to_client: self.told.append((splice, to_client)),
            SpliceLimits(**limits),
        )
        self.node.on_end = lambda id, splice, why: self.ends.append((id, splice.bytes[0], why))
        self.node.start()
        self.wire = self.stack.enter_context(self.node.worker("0"))
        self.wire.setblocking(False)

    def connections(self) -> tuple[socket.socket, socket.socket, socket.socket, socket.socket]:
        """Return (client, its leg, endpoint, its leg), an exchange behind them, but for the tail."""
        client, from_client = self.place.accepted()
        endpoint, to_endpoint = self.place.connected()
        for sock in (client, from_client, endpoint, to_endpoint):
            self.stack.enter_context(sock)
        return client, from_client, endpoint, to_endpoint

    def ask(self, *socks: socket.socket, **changes: Any) -> None:
        message = {
            "type": "splice",
            "tag": 7,
            "kind": "opaque",
            "tail": len(TAIL),
            "edition": self.guard.edition,
            "route": "r1",
            "upstream": "u1",
            "endpoint": "10.9.0.3:80",
            "client": ["note"],
        } | changes
        socket.send_fds(self.wire, [json.dumps(message).encode()], [s.fileno() for s in socks])

    async def answer(self) -> tuple[dict[str, Any], list[socket.socket]]:
        async with asyncio.timeout(2):
            while True:
                try:
                    data, fds, _, _ = socket.recv_fds(self.wire, 65536, 2)
                    return json.loads(data), [socket.socket(fileno=fd) for fd in fds]
                except BlockingIOError:
                    await asyncio.sleep(0)

    async def spliced(self, tail: bytes = TAIL) -> tuple[int, socket.socket, socket.socket]:
        """Return (id, client, endpoint) of a splice whose tail the worker has written and the client read."""
        client, from_client, endpoint, to_endpoint = self.connections()
        self.ask(from_client, to_endpoint)
        answer, _ = await self.answer()
        assert (answer["type"], answer["tag"]) == ("spliced", 7)
        from_client.sendall(tail)
        if tail:
            assert client.recv(100) == tail
        from_client.close()
        to_endpoint.close()
        return answer["id"], client, endpoint

    def splice(self, id: int) -> Splice:
        return Splice.from_buffer_copy(self.tables["splices"].get(c_uint32(id)) or b"")

    def change(self, id: int, **fields: int) -> Splice:
        splice = self.splice(id)
        for name, value in fields.items():
            setattr(splice, name, value)
        self.table.put(id, splice)
        return splice

    def happens(self, id: int, kind: EventType, data: bytes = b"", **fields: int) -> None:
        splice = self.splice(id)
        event = SpliceEvent(type=kind, id=id, generation=splice.generation, seq=splice.head, len=len(data), **fields)
        event.captured = len(data)
        event.bytes[: len(data)] = data
        self.events.records.append(bytes(event))
        os.eventfd_write(self.events.fd, 1)
        self.node._events()

    async def swept(self) -> None:
        async with asyncio.timeout(2):
            before = self.node.states
            while self.node.states is before:
                await asyncio.sleep(0)


def scenario(place: Region, path: Path, acts: Callable[[Scene], Awaitable[None]], **limits: float) -> None:
    async def run() -> None:
        with splice_maps() as tables, ExitStack() as stack:
            scene = Scene(place, tables, path, stack, **limits)
            try:
                await acts(scene)
            finally:
                scene.node.close()

    asyncio.run(run())


def test_a_splice_is_made_covered_and_leaves_no_socket_of_the_client(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, client, endpoint = await scene.spliced()
        assert len(scene.node) == 1
        assert scene.splice(id).state == State.TAIL
        scene.change(id, state=State.ACTIVE)
        scene.happens(id, EventType.TAIL)
        assert scene.node._held[id].client is None
        assert is_silent(client)
        assert is_silent(endpoint)
        assert scene.node.made == {"opaque": 1}

    scenario(place, tmp_path, acts)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"edition": 9, "kind": "guarded", "guard": GUARD}, "epoch"),
        ({"tail": -1}, "malformed"),
        ({"tail": 1 << 30}, "tail"),
        ({"kind": "x"}, "malformed"),
    ],
)
def test_a_refusal_is_told_and_counted(place: Region, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    async def acts(scene: Scene) -> None:
        _, from_client, _, to_endpoint = scene.connections()
        scene.ask(from_client, to_endpoint, **changes)
        answer, _ = await scene.answer()
        assert answer == {"type": "refused", "tag": 7, "reason": reason}
        assert scene.node.refused == {reason: 1}
        assert len(scene.node) == 0

    scenario(place, tmp_path, acts)


def test_one_socket_is_too_few(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        scene.ask(scene.connections()[1])
        assert (await scene.answer())[0]["reason"] == "malformed"

    scenario(place, tmp_path, acts)


def test_a_connection_comes_back_with_its_request(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, client, endpoint = await scene.spliced()
        client.sendall(REQUEST)  # dropped here: the datapath holds it
        scene.change(id, state=State.BACK)
        scene.happens(id, EventType.TAIL)
        scene.happens(id, EventType.BACK, REQUEST, why=Back.FOOTPRINT, at_ns=AT_NS)
        answer, socks = await scene.answer()
        with socks[0] as back:
            began_ns = answer.pop("at")
            assert answer == {
                "type": "back",
                "id": id,
                "address": list(client.getsockname()),
                "client": ["note"],
                "kind": "opaque",
                "route": "r1",
                "why": "footprint",
            }
            assert began_ns == AT_NS
            [took] = (n for n, count in enumerate(scene.node.back_took[: durations.SUM]) if count)
            assert took == len(durations.BOUNDS)  # AT_NS is long ago
            back.settimeout(2)
            assert back.recv(100) == REQUEST
            back.sendall(b"answer")
            assert client.recv(100) == b"answer"
            client.sendall(b"again")
            assert back.recv(100) == b"again"
        assert [to_client for _, to_client in scene.told] == [False]
        assert len(scene.node) == 0
        assert scene.node.back == {"footprint": 1}
        assert scene.tables["splice_ends"].items() == []
        assert scene.splice(id).state == State.FREE
        assert is_silent(endpoint)  # whom the reset, which was not sent here, would tell

    scenario(place, tmp_path, acts)


def test_workers_have_what_comes_back_before_any_endpoint_is_told(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        waiting = list[int]()
        scene.node._tell = lambda *_: waiting.append(unread(scene.wire))
        ids = [(await scene.spliced())[0] for _ in range(2)]
        for id in ids:
            splice = scene.change(id, state=State.BACK)
            event = SpliceEvent(type=EventType.BACK, id=id, generation=splice.generation, seq=splice.head, captured=1)
            scene.events.records.append(bytes(event))
        scene.node._events()
        assert waiting == [2, 2]
        assert len(scene.node) == 0
        assert not any(scene.node.back_took)  # older programs do not say when

    def unread(wire: socket.socket) -> int:
        """Take what is there, and count it; what was counted before counts too."""
        nonlocal came
        with suppress(BlockingIOError):
            while True:
                _, fds, _, _ = socket.recv_fds(wire, 65536, 2)
                socket.socket(fileno=fds[0]).close()
                came += 1
        return came

    came = 0
    scenario(place, tmp_path, acts)


def test_a_connection_comes_back_within_a_millisecond(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        took = []
        for _ in range(5):
            id, client, _ = await scene.spliced()
            scene.change(id, state=State.ACTIVE)
            scene.happens(id, EventType.TAIL)
            scene.change(id, state=State.BACK)
            started = time.perf_counter()
            scene.happens(id, EventType.BACK, REQUEST)
            answer, socks = await scene.answer()
            took.append(time.perf_counter() - started)
            assert answer["type"] == "back"
            socks[0].close()
        assert min(took) < 0.001

    scenario(place, tmp_path, acts)


def test_who_waits_for_its_turn_is_held_back_for_longer(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def acts(scene: Scene) -> None:
        monkeypatch.setattr(splicing, "EVENTS_AT_ONCE", 1)
        ids = [(await scene.spliced())[0] for _ in range(2)]
        began = time.monotonic_ns()
        for id in ids:
            splice = scene.change(id, state=State.BACK, deadline_ns=began + NSEC)
            event = SpliceEvent(type=EventType.BACK, id=id, generation=splice.generation, seq=splice.head, captured=1)
            scene.events.records.append(bytes(event))
        scene.node._events()
        scene.node._events()  # news while some wait gives nobody another turn
        assert scene.node.ended == {"back": 1}
        assert scene.splice(ids[1]).deadline_ns >= began + 5 * NSEC
        answers = [await scene.answer() for _ in ids]
        assert [answer["id"] for answer, _ in answers] == ids
        for _, socks in answers:
            socks[0].close()

    scenario(place, tmp_path, acts)


def test_a_client_that_is_gone_when_its_socket_lives_again_costs_nobody_else(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OSError(errno.ENOTCONN, "the reset came before we asked")

    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        other, _, _ = await scene.spliced()
        scene.change(id, state=State.BACK)
        with monkeypatch.context() as patched:
            patched.setattr(scene.node._over, "restore_client", gone)
            scene.happens(id, EventType.BACK, REQUEST)
        assert scene.node.ended == {"gone": 1}
        assert list(scene.node._held) == [other]

    scenario(place, tmp_path, acts)


def test_what_the_client_has_not_acknowledged_is_not_lost_by_coming_back(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        splice = scene.splice(id)
        splice.state, splice.end[1] = State.BACK, splice.end[1] + 1
        scene.table.put(id, splice)
        began = time.monotonic_ns()
        scene.happens(id, EventType.BACK, REQUEST)
        assert scene.splice(id).state == State.ACTIVE
        assert scene.splice(id).deadline_ns >= began + AGAIN_NS
        assert scene.node.back == {"unsettled": 1}
        assert len(scene.node) == 1

    scenario(place, tmp_path, acts)


def test_a_client_that_ends_its_stream_with_the_request_is_answered(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, client, _ = await scene.spliced()
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        splice = scene.splice(id)
        splice.state, splice.flags = State.BACK, splice.flags | Flag.FIN_UP
        splice.end[0] += len(REQUEST) + 1
        scene.table.put(id, splice)
        scene.happens(id, EventType.BACK, REQUEST)
        _, socks = await scene.answer()
        with socks[0] as back:
            back.settimeout(2)
            assert back.recv(100) == REQUEST
            back.sendall(b"answer")
            assert client.recv(100) == b"answer"
            assert back.recv(100) == b""  # the FIN, repeated

    scenario(place, tmp_path, acts)


@pytest.mark.parametrize("flag", [Flag.FIN_DOWN, Flag.RESET])
def test_a_connection_that_ends_does_not_come_back(place: Region, tmp_path: Path, flag: int) -> None:
    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        scene.change(id, state=State.BACK, flags=flag)
        scene.happens(id, EventType.BACK, REQUEST)
        assert scene.node.ended == {"closing": 1}
        assert [to_client for _, to_client in scene.told] == [True]

    scenario(place, tmp_path, acts)


def test_events_of_an_earlier_use_are_nobodys(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        generation = scene.splice(id).generation
        for event in (
            SpliceEvent(type=EventType.TAIL, id=id, generation=generation - 1),
            SpliceEvent(type=EventType.TAIL, id=id + 1, generation=generation),
        ):
            scene.events.records.append(bytes(event))
        scene.node._events()
        assert scene.node._held[id].client is not None

    scenario(place, tmp_path, acts)


def test_a_worker_that_dies_before_it_has_written_the_tail_ends_the_splice(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        written, first, _ = await scene.spliced()
        client, from_client, endpoint, to_endpoint = scene.connections()
        scene.ask(from_client, to_endpoint)
        await scene.answer()
        from_client.sendall(TAIL[:5])
        scene.wire.close()
        async with asyncio.timeout(2):
            while not scene.told:
                await asyncio.sleep(0)
        assert scene.node.ended == {"worker": 1}
        with pytest.raises(ConnectionResetError):
            client.recv(100)
            client.recv(100)
        assert [to_client for _, to_client in scene.told] == [False]  # its own socket has told it
        assert list(scene.node._held) == [written]
        assert is_silent(first)

    scenario(place, tmp_path, acts)


def test_without_a_worker_nothing_can_come_back(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        scene.wire.close()
        while scene.node._wires:
            await asyncio.sleep(0)
        scene.change(id, state=State.BACK)
        scene.happens(id, EventType.BACK, REQUEST)
        assert scene.node.ended == {"no_worker": 1}

    scenario(place, tmp_path, acts)


def test_another_worker_takes_what_a_dead_ones_was(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, client, _ = await scene.spliced()
        scene.wire.close()
        scene.wire = scene.stack.enter_context(scene.node.worker("1"))
        scene.wire.setblocking(False)
        while "0" in scene.node._wires:
            await asyncio.sleep(0)
        scene.change(id, state=State.BACK)
        scene.happens(id, EventType.BACK, REQUEST)
        answer, socks = await scene.answer()
        assert answer["id"] == id
        socks[0].close()

    scenario(place, tmp_path, acts)


@pytest.mark.parametrize(
    ("fields", "why", "told"),
    [
        ({"state": State.ACTIVE, "last_seen_ns": 1}, "idle", [True]),
        ({"state": State.CLOSED, "deadline_ns": 1}, "closed", []),
        ({"state": State.BACK, "deadline_ns": 1}, "back", [True]),
        ({"state": State.FREE}, "killed", []),
    ],
)
def test_a_sweep_ends_what_has_ended(
    place: Region,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, int],
    why: str,
    told: list[bool],
) -> None:
    monkeypatch.setattr(splicing, "SWEEP_EVERY", 0.01)

    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        scene.change(id, state=State.ACTIVE)
        scene.happens(id, EventType.TAIL)
        scene.change(id, **fields)
        async with asyncio.timeout(2):
            while scene.node.ended != {why: 1}:
                await asyncio.sleep(0.001)
        assert [to_client for _, to_client in scene.told] == told
        assert len(scene.node) == 0
        assert scene.tables["splice_ends"].items() == []

    scenario(place, tmp_path, acts, idle=60)


@pytest.mark.parametrize(
    ("fields", "why", "is_told"),
    [
        ({"last_seen_ns": 1}, "idle", True),
        ({"last_seen_ns": 1, "logged": 0}, "idle", False),
        ({"created_ns": 1}, "age", True),
        ({"state": State.CLOSED, "deadline_ns": 1}, "closed", False),
        ({"state": State.BACK, "deadline_ns": 1}, "back", False),
    ],
)
def test_who_writes_lines_is_told_of_ends_that_the_datapath_has_not_told(
    place: Region,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, int],
    why: str,
    is_told: bool,
) -> None:
    monkeypatch.setattr(splicing, "SWEEP_EVERY", 0.01)

    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        splice = scene.change(id, state=State.ACTIVE, logged=1)
        splice.bytes[0] = 70
        scene.table.put(id, splice)
        scene.happens(id, EventType.TAIL)
        scene.change(id, **fields)
        async with asyncio.timeout(2):
            while scene.node.ended != {why: 1}:
                await asyncio.sleep(0.001)
        assert scene.ends == [(id, 70, why)] * is_told

    scenario(place, tmp_path, acts, idle=60, age=600)


@pytest.mark.parametrize(("state", "is_told"), [(State.ACTIVE, True), (State.CLOSED, False)])
def test_an_end_by_hand_is_told_by_the_node_once(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State, is_told: bool
) -> None:
    monkeypatch.setattr(splicing, "SWEEP_EVERY", 0.01)

    async def acts(scene: Scene) -> None:
        id, _, _ = await scene.spliced()
        splice = scene.change(id, state=state, logged=1, deadline_ns=time.monotonic_ns())
        splice.bytes[0] = 70
        scene.table.put(id, splice)
        SpliceTable(scene.tables).remove(id, splice)  # as `unilb sessions --kill` does, in a process of its own
        async with asyncio.timeout(2):
            while scene.node.ended != {"killed": 1}:
                await asyncio.sleep(0.001)
        assert scene.ends == [(id, 70, "killed")] * is_told

    scenario(place, tmp_path, acts)


def test_a_sweep_counts_what_carries_and_sees_what_no_event_told(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicing, "SWEEP_EVERY", 0.01)

    async def acts(scene: Scene) -> None:
        first, _, _ = await scene.spliced()
        await scene.spliced()
        scene.change(first, state=State.ACTIVE)
        await scene.swept()
        await scene.swept()
        assert scene.node.states == {("active", "opaque"): 1, ("tail", "opaque"): 1}
        assert scene.node._held[first].client is None

    scenario(place, tmp_path, acts)


def test_a_client_that_never_takes_the_tail_is_reset(
    place: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicing, "SWEEP_EVERY", 0.01)

    async def acts(scene: Scene) -> None:
        id, client, _ = await scene.spliced()
        scene.change(id, created_ns=time.monotonic_ns() - 31 * NSEC)
        async with asyncio.timeout(2):
            while not scene.told:
                await asyncio.sleep(0.001)
        assert scene.node.ended == {"tail": 1}
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    scenario(place, tmp_path, acts)


def test_a_node_that_goes_leaves_splices_and_finishes_tails(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        steady, client, endpoint = await scene.spliced()
        scene.change(steady, state=State.ACTIVE)
        scene.happens(steady, EventType.TAIL)
        under_way, other, _ = await scene.spliced()
        for id in (steady, under_way):
            scene.change(id, logged=1)
        scene.node.close()
        assert scene.ends == [(under_way, 0, "node")]
        assert other.recv(1) == b""  # a FIN behind the tail
        assert is_silent(client)
        assert is_silent(endpoint)
        assert scene.splice(steady).state == State.ACTIVE
        assert scene.splice(under_way).state == State.FREE
        assert len(scene.tables["splice_ends"].items()) == 2
        scene.node.close = lambda: None  # type: ignore[method-assign]

    scenario(place, tmp_path, acts)


def test_what_a_decision_covers_reaches_the_kernel(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        scene.wire.send(json.dumps({"type": "covered", "decision": "1", "path": "2"}).encode())
        async with asyncio.timeout(2):
            while not scene.tables["guard_paths"].items():
                await asyncio.sleep(0)

    scenario(place, tmp_path, acts)


def test_the_sockets_of_many_splices_are_all_let_go(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            id, client, endpoint = await scene.spliced()
            scene.change(id, state=State.BACK)
            scene.happens(id, EventType.BACK, REQUEST)
            (_, socks) = await scene.answer()
            for sock in (*socks, client, endpoint):
                sock.close()
        assert len(os.listdir("/proc/self/fd")) == before

    scenario(place, tmp_path, acts)


def test_read_sees_what_the_broker_wrote(place: Region, tmp_path: Path) -> None:
    async def acts(scene: Scene) -> None:
        id, client, _ = await scene.spliced()
        assert scene.splice(id).tail_end == read(client).receive_next

    scenario(place, tmp_path, acts)
