"""Spliced connections in bad weather: packets lost, doubled and overtaken on both sides of the gateway."""

import asyncio
import contextlib
import hashlib
import os
import random
import re
import socket
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.netns import echo_upgraded
from tests.netns.crowd import opened, upgraded
from tests.netns.observe import eventually, metrics
from tests.netns.splices import EMPTY, GW1, WAYS, put
from tests.netns.weather import Tally, Weather, prepared
from tests.said import SAID
from userspace.lab import process
from userspace.lab.exec import spawn
from userspace.lab.lab import Lab
from userspace.lab.publish import admin

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]
PERCENTS = (1, 5)
PATIENCE = 40.0  # seconds without a byte: far below TCP's giving up, above seven losses of one segment in a row
LARGE = {1: 1 << 20, 5: 256 << 10}  # bytes, by percent
STORM = 100  # requests on each connection
TURNS = 6  # of requests that are covered and one that is not
MOST = 0.9  # what the kernel carries at least: a connection may come back once, and is spliced anew
PLACES = {"classic": "web1", "blue": "blue1"}
Talk = Callable[[int, StreamReader, StreamWriter], Awaitable[None]]


def place_in(lab: Lab, name: str) -> tuple[str, dict[str, object]]:
    """The machine or VM behind a way of this file's, and the upstream that leads to it."""
    vm = lab.topology.vms.get(PLACES[name])
    address = vm.address if vm else lab.topology.machines[PLACES[name]].address
    upstream: dict[str, object] = {"type": "roundrobin", "nodes": {f"{address}:{echo_upgraded.PORT}": 1}}
    return PLACES[name], upstream | ({"vpc_id": vm.vpc} if vm else {})


@pytest.fixture(scope="module")
def ways(lab: Lab) -> Iterator[Lab]:
    """The region with an endpoint on either way that gives back bodies, and bytes of tunnels."""
    with contextlib.ExitStack() as stack:
        for name in WAYS:
            place, upstream = place_in(lab, name)
            echo = spawn(lab, place, "upgraded", [sys.executable, str(Path(echo_upgraded.__file__))])
            stack.callback(process.stop, [echo], 5)
            route = {"uri": "/*", "upstream_id": f"{name}-back"}
            refused = {"host": f"back.{name}", "uri": "/refused", "upstream": EMPTY, "splice": "auto", "priority": 9}
            objects: list[tuple[str, dict[str, object]]] = [
                (f"upstreams/{name}-back", upstream),
                (f"routes/{name}-back", {**route, "host": f"back.{name}", "splice": "auto"}),
                (f"routes/{name}-refused", refused),
                (f"routes/{name}-tunnel", {**route, "host": f"tunnel.{name}", "enable_websocket": True}),
            ]
            for path, body in objects:
                put(lab, f"/apisix/admin/{path}", body)
                stack.callback(admin, lab, "DELETE", f"/apisix/admin/{path}")
        yield lab


@pytest.fixture(scope="module")
def weather(ways: Lab) -> Iterator[Weather]:
    with prepared(ways) as found:
        yield found


def active(lab: Lab, kind: str) -> float:
    return metrics(lab, "gw1").get(f"unilb_splices state=active kind={kind}", 0)


def carried(lab: Lab, what: str, name: str) -> float:
    """What gw1's kernel has carried for a route."""
    beginning = f"unilb_splice_{what}_total route={name} "
    return sum(n for sample, n in metrics(lab, "gw1").items() if sample.startswith(beginning))


def returned(lab: Lab) -> float:
    """Connections that have come back from gw1's kernel for what no decision covered."""
    return metrics(lab, "gw1").get("unilb_splice_back_total reason=footprint", 0)


def asking(name: str, body: bytes, target: str = "/back") -> bytes:
    return f"POST {target} HTTP/1.1\r\nHost: back.{name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def comes_whole(sock: socket.socket, name: str) -> bool:
    """Whether a small body comes back."""
    body, data = os.urandom(32), b""
    sock.sendall(asking(name, body))
    while not data.endswith(body):
        if not (more := sock.recv(65536)):
            return False
        data += more
    return data.startswith(b"HTTP/1.1 200 ")


@contextlib.contextmanager
def kept(lab: Lab, name: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that the kernel carries."""
    eventually("none is left of the test before", lambda: active(lab, "guarded") == 0)

    def is_routed() -> bool:
        with contextlib.suppress(OSError), opened(lab, GW1) as sock:
            return comes_whole(sock, name)
        return False

    eventually("the route is there", is_routed)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(opened(lab, GW1)) for _ in range(count)]

        def all_spliced() -> bool:
            assert all(comes_whole(sock, name) for sock in socks)
            return active(lab, "guarded") >= count

        eventually("all are spliced", all_spliced)
        yield socks


@contextlib.contextmanager
def tunnels(lab: Lab, name: str, count: int) -> Iterator[list[socket.socket]]:
    """So many tunnels that the kernel carries."""
    eventually("none is left of the test before", lambda: active(lab, "opaque") == 0)
    socks: list[socket.socket] = []
    with contextlib.ExitStack() as stack:

        def all_open() -> bool:
            with contextlib.suppress(OSError):
                socks.append(stack.enter_context(upgraded(lab, GW1, f"tunnel.{name}")))
            return len(socks) == count

        eventually("the route is there", all_open)
        eventually("all are spliced", lambda: active(lab, "opaque") == count)
        yield socks


async def _each(socks: list[socket.socket], talk: Talk) -> None:
    async def one(number: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            await talk(number, reader, writer)
        finally:
            writer.transport.abort()

    await asyncio.gather(*(one(number, sock) for number, sock in enumerate(socks)))


class Watch:
    """Reads what is awaited, and knows the longest wait for any of it, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def read(self, reader: StreamReader, size: int) -> bytes:
        """Exactly so many bytes. Raises TimeoutError when none comes for PATIENCE, ConnectionError at the end."""
        found = bytearray()
        while len(found) < size:
            found += await self._next(reader.read(min(65536, size - len(found))))
        return bytes(found)

    async def answer(self, reader: StreamReader, status: int = 200) -> bytes:
        """The body of the next response."""
        head = await self._next(reader.readuntil(b"\r\n\r\n"))
        assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
        return await self.read(reader, int(re.search(rb"(?i)content-length: *(\d+)", head)[1]))  # type: ignore[index]

    async def _next(self, coming: Awaitable[bytes]) -> bytes:
        begun = time.monotonic()
        data = await asyncio.wait_for(coming, PATIENCE)
        self.longest = max(self.longest, time.monotonic() - begun)
        if not data:
            raise ConnectionError("closed before the end")
        return data


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_bad(met: Tally) -> None:
    """The weather was as it is called, and packets did pass each other."""
    assert met.lost and met.doubled and met.delayed and met.released and met.overtaken, met


def say(what: str, percent: int, name: str, met: Tally, watch: Watch) -> None:
    fates = f"{met.lost} lost, {met.doubled} doubled, {met.overtaken} overtaken of {met.seen} packets"
    SAID.append(f"{what} at {percent} % ({name}): {fates}; longest wait {watch.longest:.1f} s")


@pytest.mark.parametrize("percent", PERCENTS)
@pytest.mark.parametrize("name", WAYS)
def test_large_bodies_come_back_whole(ways: Lab, weather: Weather, name: str, percent: int) -> None:
    watch, size = Watch(), LARGE[percent]

    async def talk(_: int, reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(2):
            body = os.urandom(size)
            writer.write(asking(name, body))
            assert digest(await watch.answer(reader)) == digest(body)

    with kept(ways, name, 4) as socks:
        before = carried(ways, "bytes", f"{name}-back")
        with weather.bad(percent, seed=percent) as met:
            asyncio.run(_each(socks, talk))
            is_bad(met())
            say("large bodies", percent, name, met(), watch)
        most = before + MOST * 2 * 2 * len(socks) * size
        eventually("the kernel has carried them", lambda: carried(ways, "bytes", f"{name}-back") >= most)


@pytest.mark.parametrize("percent", PERCENTS)
@pytest.mark.parametrize("name", WAYS)
def test_a_storm_of_requests_is_answered_each_with_its_own_body(
    ways: Lab, weather: Weather, name: str, percent: int
) -> None:
    watch = Watch()

    async def talk(number: int, reader: StreamReader, writer: StreamWriter) -> None:
        draw = random.Random(number)
        for _ in range(STORM):
            body = draw.randbytes(draw.randint(1, 3000))
            writer.write(asking(name, body))
            assert digest(await watch.answer(reader)) == digest(body)

    with kept(ways, name, 20) as socks:
        before, asked = carried(ways, "requests", f"{name}-back"), len(socks) * STORM
        with weather.bad(percent, seed=percent) as met:
            asyncio.run(_each(socks, talk))
            is_bad(met())
            say("storm", percent, name, met(), watch)
        most = before + MOST * asked
        eventually("the kernel has carried them", lambda: carried(ways, "requests", f"{name}-back") >= most)
        requests, responses = (carried(ways, what, f"{name}-back") for what in ("requests", "responses"))
        assert responses <= requests <= before + asked, "what came twice was counted twice"


@pytest.mark.parametrize("name", WAYS)
def test_what_comes_back_to_be_decided_is_refused_and_its_connection_goes_on(
    ways: Lab, weather: Weather, name: str
) -> None:
    watch, percent = Watch(), max(PERCENTS)

    async def talk(number: int, reader: StreamReader, writer: StreamWriter) -> None:
        draw = random.Random(number)
        for _ in range(TURNS):
            for target, status in (("/back", 200), ("/back", 200), ("/refused", 503)):
                body = draw.randbytes(draw.randint(1, 3000)) if status == 200 else b""
                writer.write(asking(name, body, target))
                answer = await watch.answer(reader, status)
                assert status != 200 or digest(answer) == digest(body)

    with kept(ways, name, 10) as socks:
        before = returned(ways)
        with weather.bad(percent, seed=percent) as met:
            asyncio.run(_each(socks, talk))
            is_bad(met())
            say("decided anew", percent, name, met(), watch)
        eventually("they came back", lambda: returned(ways) >= before + len(socks) * TURNS / 2)


@pytest.mark.parametrize("percent", PERCENTS)
@pytest.mark.parametrize("name", WAYS)
def test_a_tunnel_gives_back_every_byte_in_order_and_its_end(
    ways: Lab, weather: Weather, name: str, percent: int
) -> None:
    watch, size = Watch(), LARGE[percent]

    async def talk(_: int, reader: StreamReader, writer: StreamWriter) -> None:
        sent = os.urandom(size)
        writer.write(sent)
        assert digest(await watch.read(reader, size)) == digest(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(1), PATIENCE) == b""

    with tunnels(ways, name, 4) as socks:
        before = carried(ways, "bytes", f"{name}-tunnel")
        with weather.bad(percent, seed=percent) as met:
            asyncio.run(_each(socks, talk))
            is_bad(met())
            say("tunnels", percent, name, met(), watch)
        most = before + 2 * len(socks) * size
        eventually("the kernel has carried it", lambda: carried(ways, "bytes", f"{name}-tunnel") >= most)
