"""Streams: TLS passes through by its server name, everything else by the other conditions."""

import asyncio
import socket
from pathlib import Path
from typing import Any, Self

import pytest

from tests.userspace.http.test_client_hello import hello_of
from tests.userspace.proxy.stage import Speaker, Stage, hello
from tests.userspace.proxy.test_tls_connect import TlsEndpoint
from tests.userspace.proxy.tls_stage import client_context, subject
from userspace.http.proxy_protocol import HeaderReader
from userspace.proxy.listener import Listener


class Streams(Stage):
    """`routes`: id -> stream route; "URL" in it is the endpoint's address."""

    def __init__(self, folder: Path, *scripts: Any, routes: dict[str, dict[str, Any]], **options: Any) -> None:
        super().__init__(folder, *scripts, **options)
        self.routes = routes

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.put(*((f"stream_routes/{id}", {"id": id, "upstream_id": "u1", **r}) for id, r in self.routes.items()))
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.streams = Listener(self.shared, [], [], [listening.detach()])
        await self.streams.open()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.streams.close()
        for stream in list(self.shared.bare):
            stream.cut()
        await super().__aexit__(*error)


async def echo(speaker: Speaker) -> None:
    while data := await speaker.reader.read(65536):
        await speaker.say(data)


async def greet(speaker: Speaker) -> None:
    await speaker.say(b"220 hello\r\n")
    await speaker.hear_end()


async def test_tls_goes_through_undisturbed_to_the_endpoint_of_its_name(tmp_path: Path) -> None:
    endpoint = TlsEndpoint(hello)
    endpoint.folder = str(tmp_path)
    stage = Streams(tmp_path, routes={"r": {"sni": "a.example"}})
    stage.endpoints = [endpoint]
    async with stage:
        opening = asyncio.open_connection("127.0.0.1", stage.port, ssl=client_context(), server_hostname="A.example")
        client = Speaker(*await opening)
        stage.clients.append(client)
        await client.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200")
        assert subject(client) == "a.example" and endpoint.names == ["A.example"]
        await client.close()
        await stage.until(lambda: not stage.shared.bare)
        [line] = stage.log_lines()
        assert (line["server_name"], line["route"], line["upstream"]) == ("a.example", "r", "u1")
        assert line["bytes_in"] > 500 and line["bytes_out"] > 500 and line["error"] is None


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_the_hello_may_come_in_any_pieces_and_arrives_unchanged(tmp_path: Path, size: int) -> None:
    async with Streams(tmp_path, echo, routes={"r": {"sni": "a.example"}}) as stage:
        client = await stage.client()
        data = hello_of("a.example")
        for at in range(0, len(data), size):
            await client.say(data[at : at + size])
            await asyncio.sleep(0)
        assert await client.hear(len(data)) == data


async def test_another_name_is_closed_and_counted(tmp_path: Path) -> None:
    async with Streams(tmp_path, echo, routes={"r": {"sni": "a.example"}}) as stage:
        for data in (hello_of("b.example"), hello_of(None), b"GET / HTTP/1.1\r\n\r\n"):
            client = await stage.client()
            await client.say(data)
            await client.is_reset()
        assert stage.shared.counters.errors == {"client stream_unrouted": 3}
        assert stage.endpoint.accepted == 0


async def test_what_is_no_tls_takes_a_route_without_a_name(tmp_path: Path) -> None:
    async with Streams(tmp_path, echo, routes={"named": {"sni": "a.example"}, "other": {}}) as stage:
        client = await stage.client()
        await client.say(b"anything")
        assert await client.hear(8) == b"anything"


async def test_a_server_that_speaks_first_is_heard(tmp_path: Path) -> None:
    async with Streams(tmp_path, greet, routes={"r": {}}) as stage:
        assert await (await stage.client()).hear_line() == b"220 hello\r\n"
    patient = {"tls_handshake_timeout": 0.1}  # so long a name is waited for
    async with Streams(tmp_path, greet, routes={"r": {}, "n": {"sni": "x"}}, settings=patient) as stage:
        assert await (await stage.client()).hear_line() == b"220 hello\r\n"


async def test_each_side_may_end_before_the_other(tmp_path: Path) -> None:
    async def answer_at_the_end(speaker: Speaker) -> None:
        await speaker.say(await speaker.hear_end())

    async with Streams(tmp_path, answer_at_the_end, routes={"r": {}}) as stage:
        client = await stage.client()
        await client.say(b"x" * 100_000)
        client.writer.write_eof()
        assert await client.hear_end() == b"x" * 100_000
        await stage.until(lambda: not stage.shared.bare)


async def test_much_goes_whole_through_a_slow_reader(tmp_path: Path) -> None:
    async with Streams(tmp_path, echo, routes={"r": {}}) as stage:
        client = await stage.client()
        data = bytes(range(256)) * 32768
        sending = asyncio.create_task(client.say(data))
        assert await client.hear(len(data)) == data
        await sending


async def test_an_endpoint_that_refuses_leaves_the_next_its_turn(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = f"127.0.0.1:{gone.getsockname()[1]}"
    async with Streams(tmp_path, closed, echo, routes={"r": {}}) as stage:
        for _ in range(2):
            client = await stage.client()
            await client.say(b"ping")
            assert await client.hear(4) == b"ping"
        assert stage.shared.counters.totals["retries"] >= 1
    async with Streams(tmp_path, closed, routes={"r": {}}) as stage:
        client = await stage.client()
        await client.is_reset()
        await stage.until(lambda: not stage.shared.bare)
        assert stage.shared.counters.errors == {"upstream connect_refused": 1}
        assert stage.shared.pools.counts() == (0, 0)


async def test_an_idle_stream_ends(tmp_path: Path) -> None:
    timeout = {"connect": 1, "send": 1, "read": 0.1}
    async with Streams(tmp_path, echo, routes={"r": {}}, timeout=timeout) as stage:
        client = await stage.client()
        await client.say(b"x")
        assert await client.hear(1) == b"x"
        assert await client.hear_end() == b""
        await stage.until(lambda: not stage.shared.bare)
        assert [line["error"] for line in stage.log_lines()] == ["tunnel_idle"]


async def test_a_lost_side_takes_the_other_with_it(tmp_path: Path) -> None:
    async with Streams(tmp_path, echo, routes={"r": {}}) as stage:
        client = await stage.client()
        await client.say(b"x")
        await client.hear(1)
        stage.endpoint.speakers[0].reset()
        await client.is_reset()
        await client.close()
        await stage.until(lambda: not stage.shared.bare)


async def test_it_may_be_secured_on_the_way_to_the_endpoint(tmp_path: Path) -> None:
    endpoint = TlsEndpoint(echo)
    endpoint.folder = str(tmp_path)
    stage = Streams(tmp_path, routes={"r": {}}, scheme="tls", upstream_host="a.example")
    stage.endpoints = [endpoint]
    async with stage:
        client = await stage.client()
        await client.say(b"ping")
        assert await client.hear(4) == b"ping"
        assert endpoint.names == ["a.example"]


async def test_endpoints_may_be_told_whose_connection_it_is(tmp_path: Path) -> None:
    async def read_header(speaker: Speaker) -> None:
        reader = HeaderReader()
        while not reader.is_done:
            reader.feed(await speaker.hear(1))
        await speaker.say(await speaker.hear(4))

    async with Streams(tmp_path, read_header, routes={"r": {}}, proxy_protocol=1) as stage:
        client = await stage.client()
        await client.say(b"ping")
        assert await client.hear(4) == b"ping"


async def test_streams_count_as_connections_and_a_drain_waits_for_them(tmp_path: Path) -> None:
    ended: list[bool] = []
    async with Streams(tmp_path, echo, routes={"r": {}}, settings={"max_connections": 1}) as stage:
        client = await stage.client()
        await client.say(b"x")
        await client.hear(1)
        await (await stage.client()).is_reset()
        assert stage.shared.counters.totals["refused"] == 1
        stage.shared.is_draining = True
        stage.shared.on_empty = lambda: ended.append(True)
        await client.say(b"y")
        assert await client.hear(1) == b"y" and not ended
        await client.close()
        await stage.until(lambda: bool(ended))
