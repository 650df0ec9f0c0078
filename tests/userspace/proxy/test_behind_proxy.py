"""Connections that begin with a PROXY header, and those that should not, or should have."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from tests.userspace.proxy.test_tls_stream import Peer
from tests.userspace.proxy.tls_stage import TlsStage
from userspace.http.proxy_protocol import Ends, HeaderReader, header
from userspace.proxy.listener import Listener

WHO = Ends("203.0.113.9", 56324, "198.51.100.1", 443)


class Proxied:
    """A stage with a second listener, on which PROXY headers are expected."""

    def __init__(self, folder: Path, script: Any, **settings: Any) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        given = {"proxy_protocol_ports": [self.port], "proxy_protocol_from": ["127.0.0.0/8"], **settings}
        self.stage = Stage(folder, script, settings=given)

    async def __aenter__(self) -> Stage:
        stage = await self.stage.__aenter__()
        self.listener = Listener(stage.shared, [self.listening.detach()])
        await self.listener.open()
        stage.port = self.port
        return stage

    async def __aexit__(self, *error: Any) -> None:
        self.listener.close()
        await self.stage.__aexit__(*error)


async def tell_head(speaker: Speaker) -> None:
    while True:
        head = await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))


@pytest.mark.parametrize("version", [1, 2])
async def test_the_client_is_whom_the_header_names_for_all_requests_of_the_connection(
    tmp_path: Path, version: int
) -> None:
    async with Proxied(tmp_path, tell_head) as stage:
        client = await stage.client()
        await client.say(header(version, WHO) + get("/1"))
        for path in ("/2", "/3", None):
            _, head = await client.hear_message()
            assert b"X-Forwarded-For: 203.0.113.9\r\n" in head and b"X-Forwarded-Port: 443\r\n" in head
            if path:
                await client.say(get(path))
        await client.close()
        await stage.until(lambda: not stage.shared.connections)
        assert {line["client"] for line in stage.log_lines()} == {"203.0.113.9"}


async def test_a_header_may_come_byte_by_byte(tmp_path: Path) -> None:
    async with Proxied(tmp_path, hello) as stage:
        client = await stage.client()
        for byte in header(2, WHO) + get():
            await client.say(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200 ")


async def test_a_header_without_addresses_leaves_the_connection_as_it_is(tmp_path: Path) -> None:
    async with Proxied(tmp_path, tell_head) as stage:
        for version in (1, 2):
            client = await stage.client()
            await client.say(header(version, None) + get())
            assert b"X-Forwarded-For: 127.0.0.1\r\n" in (await client.hear_message())[1]


@pytest.mark.parametrize(
    ("settings", "said", "kind"),
    [
        ({}, get(), "proxy_header"),
        ({"proxy_protocol_from": []}, header(2, WHO) + get(), "proxy_untrusted"),
        ({"proxy_protocol_from": ["10.0.0.0/8"]}, header(2, WHO) + get(), "proxy_untrusted"),
        ({"header_timeout": 0.1}, b"PROXY TCP4 203.0", "proxy_header"),
    ],
    ids=["no header", "nobody is trusted", "another is trusted", "half a header"],
)
async def test_who_does_not_say_or_may_not_say_whose_it_is_is_cut_off(
    tmp_path: Path, settings: dict[str, Any], said: bytes, kind: str
) -> None:
    async with Proxied(tmp_path, hello, **settings) as stage:
        client = await stage.client()
        try:
            await client.say(said)
            heard = await client.hear_end()
        except ConnectionError:
            heard = b""
        assert heard == b""
        await stage.until(lambda: not stage.shared.connections)
        assert stage.shared.counters.errors == {f"client {kind}": 1}
        assert stage.endpoint.accepted == 0


async def test_a_header_where_none_is_expected_is_a_bad_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        for version in (1, 2):
            client = await stage.client()
            await client.say(header(version, WHO) + get())
            assert (await client.hear_head()).startswith(b"HTTP/1.1 400 ")
        assert stage.endpoint.accepted == 0


async def test_the_clients_of_one_proxy_are_counted_each_by_itself(tmp_path: Path) -> None:
    async with Proxied(tmp_path, hello, max_connections_per_client=1) as stage:
        for source in ("203.0.113.9", "203.0.113.10"):
            client = await stage.client()
            await client.say(header(1, WHO._replace(source=source)) + get())
            assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200 ")
        again = await stage.client()
        await again.say(header(1, WHO) + get())
        assert (await again.hear_message())[0].startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("version", [1, 2])
async def test_an_endpoint_is_told_whose_connection_it_is_and_no_other_client_gets_it(
    tmp_path: Path, version: int
) -> None:
    told: list[Ends | None] = []

    async def endpoint(speaker: Speaker) -> None:
        reader = HeaderReader()
        while not reader.is_done:
            assert reader.feed(await speaker.hear(1)) == b""
        told.append(reader.ends)
        await hello(speaker)

    async with Stage(tmp_path, endpoint, proxy_protocol=version) as stage:
        ports = []
        for _ in range(2):
            client = await stage.client()
            ports.append(client.writer.get_extra_info("sockname")[1])
            for _ in range(2):
                await client.say(get())
                await client.hear_message()
        assert told == [Ends("127.0.0.1", port, "127.0.0.1", stage.port) for port in ports for _ in range(2)]
        assert stage.endpoint.accepted == 4


async def test_tls_may_stand_behind_the_header(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, tell_head, is_proxied=True) as stage:
        peer = Peer(await stage.raw())
        await peer.speaker.say(header(2, WHO))
        await peer.shake()
        peer.tls.write(get("/1"))
        await peer.flush()
        head = await peer.read()
        for field in (b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Port: 443", b"X-Forwarded-Proto: https"):
            assert field in head
        untold = await stage.raw()
        await untold.say(b"\x16\x03\x01")
        assert await untold.hear_end() == b""
        assert stage.shared.counters.errors["client proxy_header"] == 1
        await stage.until(lambda: not stage.shared.bare)
