"""The checker as its own process, and this test as its node."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from tests.userspace.health.endpoints import answering, closed_port, listening
from tests.userspace.health.name_server import SRV, name_server, service
from userspace import wire

ROOT = Path(__file__).resolve().parents[3]
OK = answering(b"HTTP/1.1 200 OK\r\n\r\n")
QUICK = {"healthy": {"successes": 1}, "unhealthy": {"tcp_failures": 1}}


class CheckerProcess:
    """`rows` and `names`: the newest that it said of each target (upstream, address, port) and name."""

    def __init__(self, *options: str, **settings: Any) -> None:
        self.settings = settings
        self.options = options
        self.rows: dict[tuple[str, str, int], list[Any] | None] = {}
        self.names: dict[str, Any] = {}
        self.messages: list[wire.Message] = []

    async def __aenter__(self) -> Self:
        ours, theirs = socket.socketpair()
        arguments = ["--wire-fd", str(theirs.fileno()), "--settings", json.dumps(self.settings), *self.options]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "userspace.health.process", *arguments),
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        theirs.close()
        self.reader, self.writer = await asyncio.open_connection(sock=ours)
        self.listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        async with asyncio.timeout(10):
            await self.process.wait()
            await self.listening
        assert self.process.stderr is not None
        assert await self.process.stderr.read() == b""
        self.process._transport.close()  # type: ignore[attr-defined]

    def send(self, type: str, **body: Any) -> None:
        self.writer.write(wire.encode({"type": type, **body}))

    def configure(self, revision: int, **upstreams: Any) -> None:
        """`u={...}` is the upstream u."""
        listed = [[f"/apisix/upstreams/{id}", None if u is None else json.dumps(u)] for id, u in upstreams.items()]
        self.send("changes", revision=revision, changes=listed)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(15):
            while not holds():
                await asyncio.sleep(0.005)

    def status(self, upstream: str, address: str, port: int) -> str | None:
        row = self.rows.get((upstream, address, port))
        return row[5] if row is not None else None

    async def _listen(self) -> None:
        decoder = wire.Decoder()
        while data := await self.reader.read(65536):
            for message in decoder.feed(data):
                self.messages.append(message)
                if message["type"] == "health":
                    self.rows.update({(row[0], row[1], row[2]): row for row in message["rows"]})
                    self.rows.update(dict.fromkeys(map(tuple, message["gone"])))
                elif message["type"] == "names":
                    self.names.update(message["names"])


def checked(*ports: int, **active: Any) -> dict[str, Any]:
    return {"nodes": {f"127.0.0.1:{port}": 1 for port in ports}, "checks": {"active": {**QUICK, **active}}}


async def test_it_says_what_its_probes_met_and_what_is_no_more() -> None:
    dead = closed_port()
    async with listening(OK) as port, CheckerProcess() as checker:
        checker.configure(1, u=checked(port, dead))
        await checker.until(lambda: checker.status("u", "127.0.0.1", dead) == "unhealthy")
        assert checker.status("u", "127.0.0.1", port) == "healthy"
        row = checker.rows["u", "127.0.0.1", dead]
        assert row is not None and row[3:5] == ["127.0.0.1", [f"127.0.0.1:{dead}"]]
        assert row[6:] == [0, 0, 1, 0, "connect: Connection refused (tcp_failure 1 of 1)", []]
        checker.configure(2, u=None)
        await checker.until(lambda: checker.rows["u", "127.0.0.1", dead] is None)
        assert checker.rows["u", "127.0.0.1", port] is None


async def test_names_are_resolved_and_what_they_stand_for_is_checked() -> None:
    async with (
        name_server(web=("127.0.0.1", "127.0.0.2")) as server,
        listening(OK) as port,
        CheckerProcess(resolvers=[server.address], dns_ttl=0.1) as checker,
    ):
        named = {"nodes": {f"web.example:{port}": 1}, "checks": {"active": QUICK}}
        checker.configure(1, u=named)
        await checker.until(lambda: checker.status("u", "127.0.0.2", port) == "unhealthy")
        assert checker.names["web.example"] == [["127.0.0.1", "127.0.0.2"], ""]
        assert checker.status("u", "127.0.0.1", port) == "healthy"
        # The name says so first, then the state of its addresses.
        assert [message["type"] for message in checker.messages[:3]] == ["ready", "names", "health"]
        server.records["web.example", 1] = (1, server.records["web.example", 1][1][:1])
        await checker.until(lambda: checker.rows["u", "127.0.0.2", port] is None)
        assert checker.names["web.example"] == [["127.0.0.1"], ""]
        checker.configure(2, u=None)
        await checker.until(lambda: checker.names["web.example"] is None)


async def test_a_service_is_discovered_and_checked() -> None:
    async with (
        name_server(web=("127.0.0.1",)) as server,
        listening(OK) as port,
        CheckerProcess(resolvers=[server.address]) as checker,
    ):
        server.records["_http._tcp.a.example", SRV] = (1, [service(1, 5, port, "web.example")])
        discovered = {"discovery_type": "dns", "service_name": "_http._tcp.a.example", "checks": {"active": QUICK}}
        checker.configure(1, u=discovered)
        await checker.until(lambda: checker.status("u", "127.0.0.1", port) == "healthy")
        assert checker.names == {"dns/_http._tcp.a.example": [[f"127.0.0.1:{port} 5 -1"], ""]}


async def test_a_name_that_a_worker_asks_for_is_resolved_as_well() -> None:
    async with name_server(web=("10.0.0.1",)) as server, CheckerProcess(resolvers=[server.address]) as checker:
        checker.send("resolve", names=["web.example"])
        await checker.until(lambda: checker.names)
        assert checker.names == {"web.example": [["10.0.0.1"], ""]}
        # An upstream that comes and goes takes it from nobody, and who asks again is answered again.
        checker.configure(1, u={"nodes": {"web.example:80": 1}})
        checker.configure(2, u=None)
        checker.names.clear()
        checker.send("resolve", names=["web.example"])
        await checker.until(lambda: checker.names)
        assert checker.names == {"web.example": [["10.0.0.1"], ""]}


async def test_a_name_that_nobody_knows_is_said_with_the_reason() -> None:
    async with name_server(web=()) as server, CheckerProcess(resolvers=[server.address]) as checker:
        checker.configure(1, u={"nodes": {"nx.example:80": 1}})
        await checker.until(lambda: "nx.example" in checker.names)
        assert checker.names["nx.example"] == [[], "Domain name not found"]


async def test_a_successor_goes_on_where_its_predecessor_was() -> None:
    dead = closed_port()
    rows = [
        ["u", "127.0.0.1", dead, "127.0.0.1", [f"127.0.0.1:{dead}"], "unhealthy", 0, 0, 2, 0, "refused", []],
        ["gone", "127.0.0.1", 1, "127.0.0.1", ["127.0.0.1:1"], "unhealthy", 0, 0, 2, 0, "refused", []],
    ]
    async with CheckerProcess() as checker:
        checker.send("states", rows=rows, names={"old.example": [["10.0.0.1"], ""]})
        upstream = json.dumps(checked(dead))
        checker.send("snapshot", revision=1, objects=[["/apisix/upstreams/u", upstream]])
        await checker.until(lambda: len(checker.rows) == 2)
        assert checker.status("u", "127.0.0.1", dead) == "unhealthy"
        assert checker.rows["gone", "127.0.0.1", 1] is None and checker.names == {"old.example": None}


async def test_what_workers_saw_counts() -> None:
    async with listening(OK) as port, CheckerProcess() as checker:
        upstream = checked(port, healthy={"interval": 100})
        upstream["checks"]["passive"] = {"unhealthy": {"tcp_failures": 1}}
        checker.configure(1, u=upstream)

        def is_down() -> bool:
            checker.send("passive", seen=[["u", f"127.0.0.1:{port}", [[-1, 1]], 0, 0.0]])
            return checker.status("u", "127.0.0.1", port) == "unhealthy"

        await checker.until(is_down)


async def test_where_checks_are_switched_off_names_are_resolved_all_the_same() -> None:
    async with (
        name_server(web=("127.0.0.1",)) as server,
        CheckerProcess(resolvers=[server.address], disable_upstream_healthcheck=True) as checker,
    ):
        checker.configure(1, u={"nodes": {"web.example:80": 1, "127.0.0.2:80": 1}, "checks": {"active": QUICK}})
        await checker.until(lambda: checker.names)
        checker.send("counters?")
        await checker.until(lambda: any(message["type"] == "counters" for message in checker.messages))
        assert checker.rows == {}


async def test_it_tells_its_counters_when_asked() -> None:
    async with listening(OK) as port, CheckerProcess() as checker:
        checker.configure(1, u=checked(port))
        await checker.until(lambda: checker.rows)

        def counters() -> Any:
            checker.send("counters?")
            return [m for m in checker.messages if m["type"] == "counters" and m["checks"]["success"]]

        await checker.until(counters)
        assert counters()[-1]["names"]["answers"] == 0 and counters()[-1]["failing_names"] == 0


async def test_it_ends_with_its_node() -> None:
    async with CheckerProcess() as checker:
        await checker.until(lambda: checker.messages)
        checker.writer.close()
        async with asyncio.timeout(10):
            assert await checker.process.wait() == 0


def fields_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root")
async def test_it_gives_root_up() -> None:
    async with CheckerProcess("--user", "nobody") as checker:
        await checker.until(lambda: checker.messages)
        fields = fields_of(checker.process.pid)
        assert int(fields["CapEff"], 16) == 0 and fields["NoNewPrivs"] == "1" and not fields["Uid"].startswith("0")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--settings", "{"], "unexpected"),
        (["--settings", '{"resolvers": ["dns.example"]}'], "resolvers:"),
        (["--user", "nobody-by-this-name"], "does not exist"),
    ],
)
def test_what_it_cannot_start_with_is_named(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    from userspace.health.process import main

    assert main(["--wire-fd", "0", *arguments]) == 2
    assert why in capsys.readouterr().err
