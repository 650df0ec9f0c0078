"""Connections that say nothing, or slowly: they keep their place for a while, and nobody else out."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from control.admin import connections
from tests.control.admin.conftest import KEY, Client

HEAD = f"GET /unilb/status HTTP/1.1\r\nHost: x\r\nX-API-KEY: {KEY}\r\n".encode()


@contextlib.asynccontextmanager
async def connected(
    api: Client, count: int = 1
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    host, port = api.url.removeprefix("http://").split(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_a_thousand_silent_connections_lock_nobody_out(api: Client) -> None:
    async with connected(api, connections.MAX_CONNECTIONS + 50) as opened:
        for _ in range(5):
            assert (await api.get("/unilb/status")).status == 200
        # The oldest of them have lost their places.
        async with asyncio.timeout(5):
            assert await opened[0][0].read() == b""


async def test_a_connection_in_use_is_not_given_away(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    body = (
        b"PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: x\r\nX-API-KEY: %s\r\nContent-Length: 30\r\n\r\n" % KEY.encode()
    )
    async with connected(api) as ((reader, writer),):
        writer.write(body)
        await asyncio.sleep(0.1)
        async with connected(api, 6):
            await asyncio.sleep(0.1)
        writer.write(b'{"uri": "/a", "plugins": {}   }'[:30])
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("sent", [b"", b"GET /unilb/st", HEAD])
async def test_a_head_that_does_not_come_to_its_end_is_given_up(
    api: Client, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.3)
    async with connected(api) as ((reader, writer),):
        writer.write(sent)
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_head_sent_byte_by_byte_gains_no_time(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.5)
    # A plain socket: a byte that meets the closed connection is answered by a reset, and a transport that fails to send
    # forgets what it has yet to read.
    loop = asyncio.get_running_loop()
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.setblocking(False)
        answer = asyncio.create_task(loop.sock_recv(client, 1000))
        async with asyncio.timeout(5):
            for byte in HEAD * 10:
                if answer.done():
                    break
                with contextlib.suppress(ConnectionError):
                    await loop.sock_sendall(client, bytes([byte]))
                await asyncio.sleep(0.02)
            assert (await answer).startswith(b"HTTP/1.1 408 ")


async def test_the_second_head_of_a_connection_has_its_time_too(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.3)
    async with connected(api) as ((reader, writer),):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        # Silent between two requests is allowed for longer than a head.
        await asyncio.sleep(0.6)
        writer.write(HEAD)
        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_an_exchange_has_an_end(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "EXCHANGE_TIMEOUT", 0.3)
    async with connected(api) as ((reader, writer),):
        writer.write(HEAD.replace(b"GET", b"PUT").replace(b"/unilb/status", b"/apisix/admin/routes/1"))
        writer.write(b"Content-Length: 100\r\n\r\n{")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""


def test_one_address_has_a_share_and_loopback_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 2)
    places = connections.Connections()
    entered = [places.enter(object(), address) for address in ["192.0.2.1"] * 3 + ["127.0.0.1"] * 3]  # type: ignore[arg-type]
    assert entered == [True, True, False, True, True, True]
    assert places.refused == 1
