"""TLS as a transport: bytes through it, back-pressure, and how a stream ends."""

import asyncio
import ctypes
import ssl
from pathlib import Path

import pytest

from tests.userspace.proxy.stage import Speaker, get, hello
from tests.userspace.proxy.tls_stage import TlsStage, client_context
from userspace.proxy import openssl

BIG = bytes(range(256)) * 65536  # 16 MiB: more than every buffer on the way


async def serve_big(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG))
        await speaker.say(BIG)


async def take_big(speaker: Speaker) -> None:
    _, body = await speaker.hear_message()
    await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"ok" if body == BIG else b"no"))


async def echo_tunnel(speaker: Speaker) -> None:
    await speaker.hear_head()
    await speaker.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await speaker.say(await speaker.hear_end())


class Peer:
    """A client whose TLS is in memory, so that what goes over TCP is in the test's hands."""

    def __init__(self, speaker: Speaker, context: ssl.SSLContext | None = None) -> None:
        self.speaker = speaker
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(self.incoming, self.outgoing, server_hostname="a.example")

    async def flush(self) -> None:
        if self.outgoing.pending:
            await self.speaker.say(self.outgoing.read())

    async def more(self) -> None:
        data = await asyncio.wait_for(self.speaker.reader.read(65536), 10)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                await self.flush()
                return
            except ssl.SSLWantReadError:
                await self.flush()
                await self.more()

    async def read(self) -> bytes:
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self.flush()
                await self.more()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def context(request: pytest.FixtureRequest) -> ssl.SSLContext:
    return client_context(minimum_version=request.param, maximum_version=request.param)


async def test_a_long_response_comes_whole_to_a_slow_reader(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, serve_big) as stage:
        client = await stage.secure("a.example", context)
        await client.say(get())
        await stage.until(lambda: any(c.is_full for c in stage.shared.connections))
        _, body = await client.hear_message()
        assert body == BIG


async def test_a_long_request_goes_whole_to_the_endpoint(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, take_big) as stage:
        client = await stage.secure("a.example", context)
        await client.say(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG)
        assert (await client.hear_message())[1] == b"ok"


async def test_every_byte_of_the_conversation_may_come_alone(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        peer = Peer(await stage.raw(), context)
        flush = peer.flush

        async def slowly() -> None:
            for octet in peer.outgoing.read():
                await peer.speaker.say(bytes([octet]))
                await asyncio.sleep(0)

        peer.flush = slowly  # type: ignore[method-assign]
        await peer.shake()
        peer.tls.write(get())
        await slowly()
        peer.flush = flush  # type: ignore[method-assign]
        assert (await peer.read()).startswith(b"HTTP/1.1 200 OK")


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        peer = Peer(await stage.raw())
        while True:
            try:
                peer.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await peer.flush()
                await peer.more()
        peer.tls.write(get() + get("/2"))
        await peer.flush()  # Finished and both requests in one segment
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 2:
            answers += await peer.read()


async def test_our_end_is_said_inside_tls(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        peer = Peer(await stage.raw(), context)
        await peer.shake()
        peer.tls.write(get("/", "Connection: close"))
        await peer.flush()
        assert (await peer.read()).startswith(b"HTTP/1.1 200 OK")
        assert await peer.read() == b""  # an end without close_notify would raise


async def test_an_end_without_close_notify_is_a_lost_connection(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        peer = Peer(await stage.raw(), context)
        await peer.shake()
        peer.speaker.writer.write_eof()
        await stage.until(lambda: not stage.shared.connections)
        assert await peer.speaker.hear_end() is not None


async def test_garbage_in_place_of_a_record_ends_the_connection_only(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, hello) as stage:
        peer, other = Peer(await stage.raw(), context), await stage.secure()
        await peer.shake()
        await peer.speaker.say(b"\x17\x03\x03\x00\x20" + bytes(32))
        await stage.until(lambda: len(stage.shared.connections) == 1)
        await other.say(get())
        assert (await other.hear_message())[0].startswith(b"HTTP/1.1 200")


async def test_a_tunnel_ends_one_direction_after_the_other(tmp_path: Path, context: ssl.SSLContext) -> None:
    async with TlsStage(tmp_path, echo_tunnel, route={"enable_websocket": True}) as stage:
        peer = Peer(await stage.raw(), context)
        await peer.shake()
        head = get(
            "/",
            "Connection: upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        peer.tls.write(head)
        await peer.flush()
        assert (await peer.read()).startswith(b"HTTP/1.1 101 ")
        peer.tls.write(b"ping")
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()  # close_notify: nothing more from us, and the endpoint answers to that
        await peer.flush()
        received = b""
        while b"ping" not in received:
            await peer.more()
            with pytest.raises(ssl.SSLError) as caught:
                peer.tls.unwrap()
            received += b"ping" if "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" in str(caught.value) else b""


async def test_a_new_traffic_key_is_no_interruption(tmp_path: Path) -> None:
    """KeyUpdate (RFC 8446 section 4.6.3), which asks for the server's in turn."""
    async with TlsStage(tmp_path, hello) as stage:
        peer = Peer(await stage.raw())
        await peer.shake()
        for path in ("/1", "/2", "/3"):
            assert openssl._library.SSL_key_update(ctypes.c_void_p(openssl._connection(peer.tls)), 1) == 1
            peer.tls.write(get(path))
            await peer.flush()
            assert (await peer.read()).endswith(b"GET %b HTTP/1.1" % path.encode())
