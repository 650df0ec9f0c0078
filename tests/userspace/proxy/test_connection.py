"""The client's side: limits, time-outs, refusals, and who waits for whom."""

import asyncio
import json
import tracemalloc
from pathlib import Path

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello

PATIENT = {"header_timeout": 0.2, "idle_timeout": 0.2, "body_timeout": 0.2, "send_timeout": 0.3}


async def sink(speaker: Speaker) -> None:
    """Takes whatever comes."""
    await speaker.hear_end()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 17000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" + b"x" * 2001, 413),
    ],
)
async def test_a_refused_request_is_answered_closed_and_never_forwarded(
    tmp_path: Path, request_bytes: bytes, status: int
) -> None:
    async with Stage(tmp_path, sink, settings={"max_request_body_bytes": 2000}) as stage:
        client = await stage.client()
        await client.say(request_bytes + get("/smuggled"))
        answer = await client.hear_end()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status) and b"\r\nConnection: close" in head
        assert json.loads(body)["error_msg"].startswith(f"{status} ")
        assert answer.count(b"HTTP/1.1") == 1
        assert stage.endpoint.accepted == 0, "not even a connection, so not one byte"
        [line] = stage.log_lines()
        assert (line["status"], line["error_source"]) == (status, "client")
        assert stage.shared.counters.errors == {f"client status_{status}": 1}


async def test_a_chunked_body_that_grows_too_large_is_cut_off(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        begun.set()
        await speaker.hear_end()

    async with Stage(tmp_path, endpoint, settings={"max_request_body_bytes": 2000}) as stage:
        client = await stage.client()
        await client.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n"
        )
        await asyncio.wait_for(begun.wait(), 5)
        await client.say(b"3e9\r\n" + b"x" * 1001)
        assert (await client.hear_end()).startswith(b"HTTP/1.1 413 ")
        [line] = stage.log_lines()
        assert (line["status"], line["method"], line["error"]) == (413, "POST", "bad_request")


async def test_a_request_split_at_every_byte_is_one_request(tmp_path: Path) -> None:
    request = get("/split")
    async with Stage(tmp_path, hello) as stage:
        for cut in range(1, len(request)):
            client = await stage.client()
            await client.say(request[:cut])
            await asyncio.sleep(0)
            await client.say(request[cut:])
            assert (await client.hear_message())[1] == b"GET /split HTTP/1.1"
            await client.close()


async def test_a_slow_head_is_a_408_however_it_drips(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings=PATIENT) as stage:
        client = await stage.client()

        async def drip() -> None:
            while True:
                await client.say(b"G")
                await asyncio.sleep(0.01)

        await client.say(b"GET /")
        dripping = asyncio.create_task(drip())
        answer = await client.hear_end()
        dripping.cancel()
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert stage.endpoint.accepted == 0


async def test_a_connection_that_says_nothing_is_closed_without_a_word(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings=PATIENT) as stage:
        client = await stage.client()
        assert await client.hear_end() == b""
        assert stage.log_lines() == []


async def test_an_idle_connection_is_closed_between_requests(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings=PATIENT) as stage:
        client = await stage.client()
        await client.say(get())
        await client.hear_message()
        assert await client.hear_end() == b""


async def test_a_body_that_stalls_is_a_408_and_the_endpoint_is_let_go(tmp_path: Path) -> None:
    async with Stage(tmp_path, sink, settings=PATIENT) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert (await client.hear_end()).startswith(b"HTTP/1.1 408 ")
        await stage.until(lambda: stage.shared.pools.counts() == (0, 0))
        assert stage.log_lines()[0]["status"] == 408


async def drip_body(client: Speaker, count: int) -> None:
    await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % count)
    for _ in range(count):
        await client.say(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answers", [False, True])
async def test_a_body_that_drips_is_cut_off_and_counted(tmp_path: Path, answers: bool) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        if answers:
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await speaker.hear_end()

    async with Stage(tmp_path, endpoint, settings=PATIENT | {"min_body_rate": 10_000}) as stage:
        client = await stage.client()
        dripping = asyncio.create_task(drip_body(client, 10_000))
        if answers:
            await client.hear_head()
            assert await client.is_reset()
        else:
            answer = await client.hear_end()
            assert answer.startswith(b"HTTP/1.1 408 ") and b"comes too slowly" in answer
        await asyncio.wait([dripping], timeout=0)
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        await stage.until(lambda: stage.shared.pools.counts() == (0, 0))
        assert stage.shared.counters.errors["client body_too_slow"] == 1
    assert stage.log_lines()[0]["status"] == (200 if answers else 408)


async def test_a_body_may_drip_where_no_rate_is_asked_for(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings=PATIENT | {"min_body_rate": 0}) as stage:
        client = await stage.client()
        await drip_body(client, 40)
        assert (await client.hear_message())[1] == b"POST / HTTP/1.1"


async def test_an_endpoint_may_take_its_time_while_the_client_waits(tmp_path: Path) -> None:
    async def slow(speaker: Speaker) -> None:
        await speaker.hear_message()
        await asyncio.sleep(0.5)
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with Stage(tmp_path, slow, settings=PATIENT) as stage:
        client = await stage.client()
        await client.say(get())
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200 ")


async def test_connections_beyond_the_limit_get_a_503_and_others_live(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings={"max_connections": 2}) as stage:
        first, second = await stage.client(), await stage.client()
        for client in (first, second):
            await client.say(get())
            await client.hear_message()
        third = await stage.client()
        assert (await third.hear_end()).startswith(b"HTTP/1.1 503 ")
        assert stage.shared.counters.totals["refused"] == 1
        await first.close()
        await stage.until(lambda: len(stage.shared.connections) == 1)
        fourth = await stage.client()
        await fourth.say(get())
        assert (await fourth.hear_message())[0].startswith(b"HTTP/1.1 200 ")


async def test_the_last_request_of_a_connection_says_close(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings={"max_requests_per_connection": 2}) as stage:
        client = await stage.client()
        await client.say(get() + get() + get())
        assert b"Connection: close" not in (await client.hear_message())[0]
        assert b"\r\nConnection: close\r\n" in (await client.hear_message())[0]
        assert await client.hear_end() == b""


@pytest.mark.parametrize(
    ("request_bytes", "stays"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
    ],
)
async def test_the_client_decides_whether_the_connection_stays(
    tmp_path: Path, request_bytes: bytes, stays: bool
) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        await client.say(request_bytes)
        head, _ = await client.hear_message()
        if stays:
            await client.say(get("/again"))
            assert (await client.hear_message())[1] == b"GET /again HTTP/1.1"
        else:
            assert b"\r\nConnection: close\r\n" in head
            assert await client.hear_end() == b""


async def test_an_upload_streams_and_a_slow_endpoint_slows_the_client(tmp_path: Path) -> None:
    size = 16 << 20
    go = asyncio.Event()
    received = 0

    async def endpoint(speaker: Speaker) -> None:
        nonlocal received
        await speaker.hear_head()
        await go.wait()
        while received < size:
            received += len(await speaker.reader.read(1 << 16))
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await speaker.hear_end()

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * (1 << 16)
        sent = 0

        async def upload() -> None:
            nonlocal sent
            while sent < size:
                await client.say(block)
                sent += len(block)

        uploading = asyncio.create_task(upload())
        [connection] = await connections(stage)
        await stage.until(
            lambda: connection.exchange.forward.upstream is not None and connection.exchange.forward.is_full
        )
        upstream = connection.exchange.forward.upstream
        assert connection.is_held and upstream.transport.get_write_buffer_size() <= (64 << 10) + (256 << 10)
        assert not connection.exchange.body.is_replayable, "an upload is not kept for a second try"
        go.set()
        await uploading
        assert (await client.hear_head()).startswith(b"HTTP/1.1 200 ")
        assert received == size


async def connections(stage: Stage) -> list:  # type: ignore[type-arg]
    await stage.until(lambda: any(connection.exchange for connection in stage.shared.connections))
    return list(stage.shared.connections)


@pytest.mark.parametrize("coding", ["length", "chunked", "close"])
async def test_a_download_streams_and_a_slow_client_slows_the_endpoint(tmp_path: Path, coding: str) -> None:
    size = 24 << 20
    block = bytes(range(256)) * 256
    framing = {"length": b"Content-Length: %d\r\n" % size, "chunked": b"Transfer-Encoding: chunked\r\n", "close": b""}

    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\n%b\r\n" % framing[coding])
        for _ in range(size // len(block)):
            await speaker.say(b"%x\r\n%b\r\n" % (len(block), block) if coding == "chunked" else block)
        if coding == "chunked":
            await speaker.say(b"0\r\n\r\n")

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        tracemalloc.start()
        await client.say(get("/big"))
        [connection] = await connections(stage)
        await stage.until(lambda: connection.is_full)
        await asyncio.sleep(0.1)  # whatever could still pile up does
        assert connection.transport.get_write_buffer_size() <= (64 << 10) + (256 << 10) + 4096
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 << 20
        _, body = await client.hear_message()
        assert body == block * (size // len(block))


async def test_a_client_that_stops_reading_is_cut_off(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await speaker.say(b"x" * 65536)

    async with Stage(tmp_path, endpoint, settings=PATIENT) as stage:
        client = await stage.client()
        await client.say(get())
        await stage.until(lambda: stage.shared.counters.totals["accepted"] == 1)
        await stage.until(lambda: not stage.shared.connections)
        [line] = stage.log_lines()
        assert (line["error"], line["error_source"]) == ("send_timeout", "client")


async def test_a_pipelining_client_that_never_reads_is_not_served_on(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        while True:
            await speaker.hear_head()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)

    async with Stage(tmp_path, endpoint, settings={"max_requests_per_connection": 0}) as stage:
        client = await stage.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(get() * 2000)
        await stage.until(lambda: any(connection.is_full for connection in stage.shared.connections))
        await asyncio.sleep(0.1)
        [connection] = stage.shared.connections
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() < 600_000
        assert stage.shared.counters.totals["requests"] < 200


async def test_a_large_chunked_upload_arrives_byte_for_byte(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192
    heard = asyncio.get_running_loop().create_future()

    async def endpoint(speaker: Speaker) -> None:
        heard.set_result((await speaker.hear_message())[1])
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await speaker.hear_end()

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            await client.say(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        await client.say(b"0\r\nX-Trailer: 1\r\n\r\n" + get("/next"))
        assert (await client.hear_head()).startswith(b"HTTP/1.1 200 ")
        assert await heard == body
