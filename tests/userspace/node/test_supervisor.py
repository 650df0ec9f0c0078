"""Workers are started, fed, replaced when they die, and drained together. Real workers, real sockets."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import unused_port
from userspace.config.settings import Settings
from userspace.node import splice_wire
from userspace.node.predecessors import Predecessors, start_time
from userspace.node.supervisor import Supervisor, _listener
from userspace.obs.worker_totals import WorkerTotals

SETTINGS = Settings(access_log="off", drain_deadline=5)
ROUTE = json.dumps({"uri": "/a", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:9": 1}}}).encode()
OBJECTS = {"/apisix/routes/a": ROUTE}


@pytest.fixture
def port() -> int:
    return unused_port()


@asynccontextmanager
async def supervised(port: int, folder: Path, workers: int = 2) -> AsyncIterator[Supervisor]:
    predecessors = Predecessors(folder / "gw.workers")
    supervisor = Supervisor([("127.0.0.1", port)], workers, SETTINGS, WorkerTotals(), predecessors)
    supervisor.snapshot(1, OBJECTS)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.drain()


async def status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    line = await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def until(condition: Callable[[], bool], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def pids(supervisor: Supervisor) -> list[int]:
    return [worker.process.pid for worker in supervisor.workers if worker.process is not None]


async def test_every_worker_routes_by_the_snapshot_before_it_is_ready(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path) as supervisor:
        assert await supervisor.applied(1, 5)
        assert {await status(port, "/a") for _ in range(8)} == {502}
        assert await status(port, "/b") == 404


async def test_a_change_is_in_force_when_applied_says_so(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path) as supervisor:
        supervisor.changes(2, [("/apisix/routes/b", ROUTE.replace(b"/a", b"/b")), ("/apisix/routes/a", None)])
        assert await supervisor.applied(2, 5)
        assert {await status(port, "/b") for _ in range(8)} == {502}
        assert {await status(port, "/a") for _ in range(8)} == {404}


async def test_waiting_for_what_never_comes_ends(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path, workers=1) as supervisor:
        assert not await supervisor.applied(99, 0.05)


async def test_a_bad_object_is_named_until_it_is_mended(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path) as supervisor:
        supervisor.changes(2, [("/apisix/routes/b", b'{"uri": 7}')])
        assert await supervisor.applied(2, 5)
        assert 'property "uri"' in supervisor.rejected()["/apisix/routes/b"]
        supervisor.changes(3, [("/apisix/routes/b", ROUTE)])
        assert await supervisor.applied(3, 5)
        assert supervisor.rejected() == {}


async def test_a_killed_worker_is_replaced_and_starts_from_everything(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path) as supervisor:
        supervisor.changes(2, [("/apisix/routes/b", ROUTE.replace(b"/a", b"/b"))])
        await supervisor.applied(2, 5)
        before = pids(supervisor)
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: pids(supervisor)[0] != before[0])
        assert supervisor.restarts == 1
        await until(lambda: all(worker.revision == 2 for worker in supervisor.workers))
        assert pids(supervisor)[1] == before[1]
        assert {await status(port, "/b") for _ in range(12)} == {502}


async def test_connections_of_a_dead_worker_wait_for_the_next(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path, workers=1) as supervisor:
        os.kill(pids(supervisor)[0], signal.SIGKILL)
        assert await asyncio.wait_for(status(port, "/a"), 20) == 502


async def test_workers_of_a_dead_node_drain_once_ours_accept(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path, workers=1) as first:
        left_behind = pids(first)[0]
        started = start_time(left_behind)
        async with supervised(port, tmp_path, workers=1):
            await until(lambda: start_time(left_behind) != started or first.restarts > 0)
            assert await status(port, "/a") == 502


async def test_draining_ends_every_worker_and_frees_the_port(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path) as supervisor:
        ended = pids(supervisor)
    assert [start_time(pid) for pid in ended] == [None, None]
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))
    assert not (tmp_path / "gw.workers").exists()


async def test_a_node_that_ends_while_starting_takes_an_earlier_ones_workers_along(port: int, tmp_path: Path) -> None:
    async with supervised(port, tmp_path, workers=1) as first:
        left_behind = pids(first)[0]
        started = start_time(left_behind)
        predecessors = Predecessors(tmp_path / "gw.workers")
        brief = Supervisor([("127.0.0.1", port)], 1, SETTINGS, WorkerTotals(), predecessors)
        await brief.drain()
        await until(lambda: start_time(left_behind) != started)


async def test_counters_reach_the_totals_on_request(port: int, tmp_path: Path) -> None:
    totals = WorkerTotals()
    supervisor = Supervisor([("127.0.0.1", port)], 1, SETTINGS, totals, Predecessors(tmp_path / "w"))
    supervisor.snapshot(1, OBJECTS)
    await supervisor.start()

    def requests() -> float:
        metrics = {metric.name: metric for metric in totals.collect()}
        return sum(sample.value for sample in metrics["apisix_http_requests_total"].samples)

    try:
        for _ in range(3):
            await status(port, "/a")
        await supervisor.fresh_counters(within=10)
        assert requests() == 3
        # One that is frozen holds nobody up for long.
        [frozen] = pids(supervisor)
        os.kill(frozen, signal.SIGSTOP)
        try:
            begun = asyncio.get_running_loop().time()
            await supervisor.fresh_counters(within=0.05)
            assert asyncio.get_running_loop().time() - begun >= 0.049
        finally:
            os.kill(frozen, signal.SIGCONT)
    finally:
        await supervisor.drain()
    assert requests() == 3


def test_clients_of_ipv4_do_not_come_as_mapped_addresses() -> None:
    """Or no rule about their addresses would hold for them."""
    port = unused_port()
    with _listener(("::", port), 1):
        socket.create_connection(("::1", port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            Supervisor([("127.0.0.1", port)], 1, SETTINGS, WorkerTotals(), Predecessors(tmp_path / "w"))


class Splices:
    """Splicing, as far as a supervisor knows it."""

    def __init__(self) -> None:
        self.guard = self
        self.wires: dict[str, socket.socket] = {}

    def worker(self, name: str) -> socket.socket:
        self.wires[name], theirs = splice_wire.pair()
        return theirs

    def message(self) -> dict[str, object]:
        return {"type": "splice_key", "seed": "1", "factor": "3", "epoch": 1, "edition": 0}


async def spliced(port: int, path: Path) -> tuple[Supervisor, Splices]:
    splices = Splices()
    supervisor = Supervisor(
        *([("127.0.0.1", port)], 1, SETTINGS, WorkerTotals(), Predecessors(path / "w")),
        splicing=splices,  # type: ignore[arg-type]
    )
    supervisor.snapshot(1, OBJECTS)
    await supervisor.start()
    return supervisor, splices


async def test_a_worker_that_is_being_replaced_does_not_keep_a_node_from_its_end(port: int, tmp_path: Path) -> None:
    supervisor, splices = await spliced(port, tmp_path)
    first = splices.wires["0"]
    os.kill(pids(supervisor)[0], signal.SIGKILL)
    while splices.wires["0"] is first:
        await asyncio.sleep(0)
    # Its process is not there yet, or has just begun.
    async with asyncio.timeout(20):
        await supervisor.drain()
    assert all(worker.process is None or worker.process.returncode is not None for worker in supervisor.workers)
    for wire in (first, *splices.wires.values()):
        wire.close()


async def test_a_worker_has_a_wire_about_splices_that_ends_with_it(port: int, tmp_path: Path) -> None:
    supervisor, splices = await spliced(port, tmp_path)
    try:
        (first,) = splices.wires.values()
        with first:
            first.setblocking(False)
            with pytest.raises(BlockingIOError):
                first.recv(1)
            os.kill(pids(supervisor)[0], signal.SIGKILL)
            await until(lambda: splices.wires["0"] is not first)
            assert first.recv(1) == b""
    finally:
        await supervisor.drain()
        for wire in splices.wires.values():
            wire.close()
