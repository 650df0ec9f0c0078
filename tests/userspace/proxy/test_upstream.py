"""Endpoints that refuse, reset, hang, lie and close at the wrong moment."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.userspace.proxy.stage import Endpoint, Speaker, Stage, get, hello

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
QUICK = {"connect": 0.2, "send": 0.2, "read": 0.2}


_HELD: list[socket.socket] = []


def unused_address() -> str:
    """An address that refuses connections: bound, not listening, so that nobody else's server can come to be there."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return f"127.0.0.1:{held.getsockname()[1]}"


async def say_ok(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        await speaker.say(OK)


async def status_of(stage: Stage, request: bytes) -> int:
    client = await stage.client()
    await client.say(request)
    head, _ = await client.hear_message()
    return int(head.split(b" ")[1])


async def test_an_endpoint_that_refuses_is_a_502_that_says_so(tmp_path: Path) -> None:
    async with Stage(tmp_path, unused_address()) as stage:
        client = await stage.client()
        await client.say(get() + get())
        for _ in range(2):
            head, body = await client.hear_message()
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
            assert body == b'{"error_msg":"502 Bad Gateway"}\n'
        line = stage.log_lines()[0]
        assert (line["error"], line["error_source"]) == ("connect_refused", "upstream")
        assert stage.shared.counters.errors == {"upstream connect_refused": 2}


@pytest.mark.parametrize("request_bytes", [get(), POST])
async def test_a_refused_connection_is_tried_at_the_next_endpoint_whatever_the_method(
    tmp_path: Path, request_bytes: bytes
) -> None:
    async with Stage(tmp_path, unused_address(), unused_address(), say_ok) as stage:
        for _ in range(6):
            assert await status_of(stage, request_bytes) == 200
        assert stage.shared.counters.totals["retries"] > 0


async def test_retries_are_limited(tmp_path: Path) -> None:
    async with Stage(tmp_path, unused_address(), unused_address(), unused_address(), retries=1) as stage:
        assert await status_of(stage, get()) == 502
        [line] = stage.log_lines()
        assert line["retries"] == 1


async def test_retry_timeout_ends_the_tries(tmp_path: Path) -> None:
    async with Stage(tmp_path, unused_address(), unused_address(), retry_timeout=0.000001) as stage:
        assert await status_of(stage, get()) == 502
        assert stage.log_lines()[0]["retries"] == 0


async def test_an_endpoint_that_never_accepts_is_a_504(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]  # the kernel drops further SYNs once the backlog is full
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with Stage(tmp_path, f"127.0.0.1:{port}", timeout=QUICK) as stage:
            assert await status_of(stage, get()) == 504
            assert stage.log_lines()[0]["error"] == "connect_timeout"
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(("request_bytes", "asked"), [(get(), 2), (POST, 1)])
async def test_an_endpoint_that_never_answers_is_a_504_and_what_may_be_done_is_not_asked_of_another(
    tmp_path: Path, request_bytes: bytes, asked: int
) -> None:
    async def hang(speaker: Speaker) -> None:
        await speaker.hear_end()

    async with Stage(tmp_path, hang, hang, timeout=QUICK) as stage:
        assert await status_of(stage, request_bytes) == 504
        assert stage.log_lines()[0]["error"] == "read_timeout"
        assert sum(endpoint.accepted for endpoint in stage.endpoints) == asked  # type: ignore[union-attr]


async def test_read_timeout_runs_between_reads_and_not_over_the_response(tmp_path: Path) -> None:
    async def slow(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.06)
            await speaker.say(b"x")
        await speaker.hear(1)

    async with Stage(tmp_path, slow, timeout=QUICK) as stage:
        client = await stage.client()
        await client.say(get())
        assert (await client.hear_message())[1] == b"x" * 8


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000,
    ],
)
async def test_garbage_is_a_502_and_never_reaches_the_client(tmp_path: Path, garbage: bytes) -> None:
    async def speak(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(garbage)
        await speaker.hear_end()

    async with Stage(tmp_path, speak, speak) as stage:
        assert await status_of(stage, get()) == 502
        assert stage.log_lines()[0]["error"] == "bad_response"
        assert sum(endpoint.accepted for endpoint in stage.endpoints) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_torn_response_ends_in_a_reset_and_never_looks_whole(
    tmp_path: Path, beginning: bytes, version: bytes
) -> None:
    heard = asyncio.Event()

    async def tear(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(beginning)
        await heard.wait()

    async with Stage(tmp_path, tear) as stage:
        client = await stage.client()
        await client.say(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
        await client.hear_head()
        heard.set()
        assert await client.is_reset()
        [line] = stage.log_lines()
        assert (line["status"], line["error"], line["error_source"]) == (200, "truncated", "upstream")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20"])
@pytest.mark.parametrize(("request_bytes", "asked"), [(get(), 2), (POST, 1)])
async def test_an_endpoint_that_hangs_up_is_a_502_and_what_may_be_done_is_not_asked_of_another(
    tmp_path: Path, said: bytes, request_bytes: bytes, asked: int
) -> None:
    async def hang_up(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(said)
        speaker.reset()

    async with Stage(tmp_path, hang_up, hang_up) as stage:
        assert await status_of(stage, request_bytes) == 502
        assert sum(endpoint.accepted for endpoint in stage.endpoints) == asked  # type: ignore[union-attr]
        assert stage.log_lines()[0]["error"] in ("reset", "closed", "truncated")


async def test_what_is_sent_again_is_bounded_by_the_budget_and_what_was_never_sent_is_not(tmp_path: Path) -> None:
    async def hang_up(speaker: Speaker) -> None:
        await speaker.hear_head()
        speaker.reset()

    budget = {"percent": 0, "min_per_second": 0.3}
    async with Stage(tmp_path, hang_up, hang_up, retry_budget=budget) as stage:
        for _ in range(6):
            assert await status_of(stage, get()) == 502
        assert stage.shared.counters.totals["retries"] == 3
        assert stage.shared.counters.totals["retries_denied"] == 3
        dead = dict.fromkeys(("127.0.0.1:1", "127.0.0.2:1"), 1)
        stage.put(("upstreams/u1", {"id": "u1", "type": "roundrobin", "nodes": dead, "retry_budget": budget}))
        for _ in range(6):
            assert await status_of(stage, get()) == 502
        assert stage.shared.counters.totals["retries"] == 3 + 6


async def test_requests_and_openings_beyond_the_upstreams_limits_are_503_at_once(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def waits(speaker: Speaker) -> None:
        while True:
            await speaker.hear_head()
            await go.wait()
            await speaker.say(OK)

    async with Stage(tmp_path, waits, waits, limits={"requests": 2}) as stage:
        clients = [await stage.client() for _ in range(2)]
        for client in clients:
            await client.say(get())
        await stage.until(lambda: stage.shared.pools.counts()[0] == 2)
        assert await status_of(stage, get()) == 503
        assert stage.shared.counters.errors == {"upstream too_many_requests": 1}
        go.set()
        for client in clients:
            await client.hear_message()
        assert await status_of(stage, get()) == 200
        pool = next(iter(stage.shared.pools._pools.values()))
        await stage.until(lambda: pool.circuit.is_idle)
        stage.put(("upstreams/u1", {"id": "u1", "nodes": {stage.addresses[0]: 1}, "limits": {"pending": 1}}))
        stage.shared.pools.close()
        pool.circuit.pending += 1
        assert await status_of(stage, get()) == 503
        pool.circuit.pending -= 1
        assert stage.shared.counters.errors["upstream too_many_pending"] == 1
        assert await status_of(stage, get()) == 200


async def test_an_endpoint_with_all_the_connections_it_may_have_is_passed_over(tmp_path: Path) -> None:
    async def hang(speaker: Speaker) -> None:
        await speaker.hear_end()

    async with Stage(tmp_path, hang, hello, limits={"connections": 1}) as stage:
        busy: list[Speaker] = []
        while not any(e.accepted for e in stage.endpoints[:1]):  # type: ignore[union-attr]
            busy.append(await stage.client())
            await busy[-1].say(get())
            await asyncio.sleep(0.01)
        for _ in range(4):
            assert await status_of(stage, get()) == 200
        assert stage.endpoint.accepted == 1


async def test_the_connections_of_a_removed_endpoint_are_closed_and_what_is_under_way_finishes(tmp_path: Path) -> None:
    go = asyncio.Event()
    ended: list[bytes] = []

    async def old(speaker: Speaker) -> None:
        while b"/slow" not in await speaker.hear_head():
            await speaker.say(OK)
        await go.wait()
        await speaker.say(OK)
        ended.append(await speaker.hear_end())

    async def idle_end(speaker: Speaker) -> None:
        await old(speaker)

    async with Stage(tmp_path, idle_end) as stage:
        assert await status_of(stage, get()) == 200
        slow, quick = await stage.client(), await stage.client()
        await slow.say(get("/slow"))
        await stage.until(lambda: stage.shared.pools.counts() == (1, 0))
        await quick.say(get())
        await quick.hear_message()
        assert stage.shared.pools.counts() == (1, 1)
        stage.shared.pools.retire(stage.router.upstream_of)
        assert stage.shared.pools.counts() == (1, 1)
        stage.put(("upstreams/u1", {"id": "u1", "nodes": {"127.0.0.1:1": 1}}))
        stage.shared.pools.retire(stage.router.upstream_of)
        await stage.until(lambda: stage.shared.pools.counts() == (1, 0))
        go.set()
        assert (await slow.hear_message())[0].startswith(b"HTTP/1.1 200 ")
        await stage.until(lambda: stage.shared.pools.counts() == (0, 0))
        await stage.until(lambda: ended == [b""])


async def closes_when_reused(speaker: Speaker) -> None:
    """Serves one request; closes without an answer when the second one has come."""
    await speaker.hear_message()
    await speaker.say(OK)
    await speaker.hear_message()


async def test_an_idempotent_request_on_a_stale_connection_is_sent_again_on_a_new_one(tmp_path: Path) -> None:
    async with Stage(tmp_path, closes_when_reused) as stage:
        client = await stage.client()
        for _ in range(4):
            await client.say(get())
            assert (await client.hear_message())[1] == b"ok"
        assert stage.endpoint.accepted == 4
        lines = stage.log_lines()
        assert [line["retries"] for line in lines] == [0, 1, 1, 1]
        assert [line["status"] for line in lines] == [200] * 4


async def test_a_put_with_its_body_is_sent_again_whole(tmp_path: Path) -> None:
    bodies = []

    async def endpoint(speaker: Speaker) -> None:
        bodies.append((await speaker.hear_message())[1])
        await speaker.say(OK)
        bodies.append((await speaker.hear_message())[1])

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        for body in (b"first", b"second"):
            await client.say(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.say(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            assert (await client.hear_message())[1] == b"ok"
        assert bodies == [b"first", b"second", b"second"]


async def test_a_post_that_may_have_been_received_is_never_sent_twice(tmp_path: Path) -> None:
    async with Stage(tmp_path, closes_when_reused) as stage:
        client = await stage.client()
        await client.say(POST)
        assert (await client.hear_message())[1] == b"ok"
        await client.say(POST)
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 502 ")
        assert stage.endpoint.accepted == 1


async def test_a_post_does_not_take_an_idle_connection_that_the_endpoint_has_closed(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def once(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.say(OK)
        speaker.writer.close()
        closed.set()

    async with Stage(tmp_path, once) as stage:
        client = await stage.client()
        for _ in range(5):
            closed.clear()
            await client.say(POST)
            assert (await client.hear_message())[1] == b"ok"
            await closed.wait()
        assert stage.endpoint.accepted == 5
        assert stage.shared.counters.errors == {}


async def test_bytes_on_an_idle_connection_close_it(tmp_path: Path) -> None:
    async def chatty(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.say(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await speaker.hear_end()

    async with Stage(tmp_path, chatty) as stage:
        client = await stage.client()
        for _ in range(2):
            await client.say(get())
            assert (await client.hear_message())[1] == b"ok"
        assert stage.endpoint.accepted == 2


async def test_connection_close_and_http_1_0_endpoints_are_not_kept(tmp_path: Path) -> None:
    async def old(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await speaker.hear_end()

    async with Stage(tmp_path, old) as stage:
        client = await stage.client()
        for _ in range(3):
            await client.say(get())
            assert (await client.hear_message())[1] == b"ok"
        assert stage.endpoint.accepted == 3


async def test_connections_are_kept_as_long_and_as_often_as_the_upstream_says(tmp_path: Path) -> None:
    pool = {"size": 2, "idle_timeout": 0.1, "requests": 3}
    async with Stage(tmp_path, hello, keepalive_pool=pool) as stage:
        client = await stage.client()
        for _ in range(3):
            await client.say(get())
            await client.hear_message()
        assert (stage.endpoint.accepted, stage.shared.pools.counts()) == (1, (0, 0))
        await client.say(get())
        await client.hear_message()
        assert stage.shared.pools.counts() == (0, 1)
        await stage.until(lambda: stage.shared.pools.counts() == (0, 0))


async def test_a_full_endpoint_is_a_503(tmp_path: Path) -> None:
    async def hang(speaker: Speaker) -> None:
        await speaker.hear_end()

    async with Stage(tmp_path, hang, settings={"max_connections_per_endpoint": 2}) as stage:
        for _ in range(2):
            await (await stage.client()).say(get())
        await stage.until(lambda: stage.endpoint.accepted == 2)
        assert await status_of(stage, get()) == 503
        assert stage.log_lines()[-1]["error"] == "endpoint_full"


async def test_an_upstream_without_endpoints_is_a_503_and_a_missing_one_a_502(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route={"uri": "/here"}) as stage:
        stage.put(
            ("upstreams/empty", {"id": "empty", "type": "roundrobin", "nodes": []}),
            ("routes/empty", {"id": "empty", "uri": "/empty", "upstream_id": "empty"}),
            ("routes/missing", {"id": "missing", "uri": "/missing", "upstream_id": "missing"}),
        )
        assert await status_of(stage, get("/empty")) == 503
        assert await status_of(stage, get("/missing")) == 502
        assert [line["error"] for line in stage.log_lines()] == ["no_endpoint", "no_endpoint"]


async def test_a_name_that_does_not_resolve_is_a_503(tmp_path: Path) -> None:
    async with Stage(tmp_path, "name.invalid:80") as stage:
        users = stage.router.live.set_addresses({"name.invalid": ()})
        assert await status_of(stage, get()) == 503
        stage.router.refresh(users)
        assert await status_of(stage, get()) == 503
        assert [line["error"] for line in stage.log_lines()] == ["resolve_failed", "no_endpoint"]


async def test_a_name_that_is_not_resolved_yet_is_waited_for(tmp_path: Path) -> None:
    endpoint = Endpoint(hello)
    address = await endpoint.open()
    async with Stage(tmp_path, f"name.example:{endpoint.port}") as stage:
        asked: list[str] = []
        stage.shared.naming.ask = asked.append
        client = await stage.client()
        await client.say(get("/first"))
        await stage.until(lambda: asked == ["name.example"])
        stage.router.refresh(stage.router.live.set_addresses({"name.example": ("127.0.0.1",)}))
        stage.shared.naming.answered(["name.example"])
        assert (await client.hear_message())[1] == b"GET /first HTTP/1.1"
        await client.say(get("/second"))
        await client.hear_message()
        lines = stage.log_lines()
        assert [line["endpoint"] for line in lines] == [f"name.example:{endpoint.port}", address]
    await endpoint.close()


async def test_waiting_for_a_name_takes_no_longer_than_connecting(tmp_path: Path) -> None:
    async with Stage(tmp_path, "name.example:80", timeout={"connect": 0.01, "send": 1, "read": 1}) as stage:
        assert await status_of(stage, get()) == 504
        assert stage.log_lines()[0]["error"] == "connect_timeout"


async def test_pass_host_node_names_the_name_and_not_its_address(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def listens(speaker: Speaker) -> None:
        heads.append((await speaker.hear_message())[0])
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    endpoint = Endpoint(listens)
    await endpoint.open()
    async with Stage(tmp_path, f"name.example:{endpoint.port}", pass_host="node") as stage:
        stage.router.refresh(stage.router.live.set_addresses({"name.example": ("127.0.0.1",)}))
        assert await status_of(stage, get()) == 200
    assert b"\r\nHost: name.example:%d\r\n" % endpoint.port in heads[0]
    await endpoint.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"a.example"),
        ({"pass_host": "rewrite", "upstream_host": "inner.example"}, b"inner.example"),
        ({"pass_host": "node"}, None),
    ],
)
async def test_pass_host_chooses_the_host_that_the_endpoint_sees(
    tmp_path: Path, options: dict[str, str], expected: bytes | None
) -> None:
    async def endpoint(speaker: Speaker) -> None:
        head = await speaker.hear_head()
        host = head.split(b"Host: ")[1].split(b"\r\n")[0]
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(host), host))
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint, **options) as stage:
        client = await stage.client()
        await client.say(get())
        assert (await client.hear_message())[1] == (expected or stage.addresses[0].encode())
