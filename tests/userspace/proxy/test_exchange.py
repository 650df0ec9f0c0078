"""Conversations of one request and its response, and of their ends."""

import asyncio
from pathlib import Path

import pytest

from tests.userspace.proxy.stage import DATE, Speaker, Stage, get, hello


async def test_a_request_reaches_the_endpoint_and_its_response_the_client(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heard.append(await speaker.hear_head())
        await speaker.say(
            b"HTTP/1.1 201 Made\r\nX-A: 1\r\nConnection: x-hop\r\nX-Hop: 2\r\nContent-Length: 2\r\n\r\nok"
        )
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(
            get("/x?q=1", "Connection: keep-alive, X-Mine", "X-Mine: 1", "Upgrade: websocket", "Accept: */*")
        )
        answer = b"HTTP/1.1 201 Made\r\nX-A: 1\r\n" + DATE + b"Content-Length: 2\r\n\r\n"
        assert await client.hear_message() == (answer, b"ok")
    [head] = heard
    assert head.startswith(b"GET /x?q=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
    assert b"x-mine" not in head.lower() and b"upgrade" not in head.lower()


async def test_both_sides_keep_their_connection(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        for number in range(5):
            await client.say(get(f"/{number}"))
            _, body = await client.hear_message()
            assert body == b"GET /%d HTTP/1.1" % number
        assert stage.endpoint.accepted == 1
        assert stage.shared.counters.totals["accepted"] == 1
        assert stage.shared.counters.totals["upstream_reuses"] == 4


async def test_pipelined_requests_are_forwarded_one_at_a_time_and_answered_in_order(tmp_path: Path) -> None:
    busy = 0

    async def endpoint(speaker: Speaker) -> None:
        nonlocal busy
        while True:
            head = await speaker.hear_head()
            busy += 1
            assert busy == 1
            await asyncio.sleep(0)
            busy -= 1
            line = head.split(b" ")[1]
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"".join(get(f"/{number}") for number in range(50)))
        for number in range(50):
            assert (await client.hear_message())[1] == b"/%d" % number
        await client.say(get("/after"))
        assert (await client.hear_message())[1] == b"/after"
        assert stage.endpoint.accepted == 1


async def test_thousands_of_pipelined_requests_without_a_route_are_all_answered(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route={"uri": "/only"}, settings={"max_requests_per_connection": 0}) as stage:
        client = await stage.client()
        await client.say(get("/none") * 3000)
        for _ in range(3000):
            head, body = await client.hear_message()
            assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
            assert body == b'{"error_msg":"404 Route Not Found"}\n'
        assert stage.endpoint.accepted == 0


async def test_a_response_to_head_has_the_length_and_no_body(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        while True:
            await speaker.hear_head()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get().replace(b"GET", b"HEAD") * 2)
        for _ in range(2):
            assert await client.hear_head() == b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 1000\r\n\r\n"
        assert stage.endpoint.accepted == 1


async def test_a_body_that_ends_with_the_connection_becomes_chunked_for_http_1_1(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        for _ in range(2):
            await client.say(get())
            head, body = await client.hear_message()
            assert head == b"HTTP/1.1 200 OK\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n"
            assert body == b"until the end"


async def test_a_chunked_body_is_ended_by_closing_for_http_1_0(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert await client.hear_end() == b"HTTP/1.1 200 OK\r\n" + DATE + b"Connection: close\r\n\r\nabc"


async def test_trailers_of_a_chunked_response_reach_the_client(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get("/", "Connection: close"))
        assert (await client.hear_end()).endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")


async def test_trailers_of_a_request_reach_the_endpoint_without_what_is_ours(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heads.append(await speaker.hear_head())
        assert await speaker.hear(8) == b"2\r\nok\r\n0"
        heads.append(await speaker.hear_head())
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"TE: deflate, trailers\r\nConnection: TE\r\n\r\n"
            b"2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Forwarded-For: 9.9.9.9\r\nX_Real_IP: 9.9.9.9\r\n\r\n"
        )
        await client.hear_message()
    assert b"\r\nTE: trailers\r\n" in heads[0] and b"\r\nConnection: te\r\n" in heads[0]
    assert heads[1] == b"\r\nX-Sum: 7\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", b"200"), ("TRACE", b"501")])
async def test_a_request_that_may_go_no_further_is_answered_here(tmp_path: Path, method: str, status: bytes) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        for hops in (b"1", b"0"):
            await client.say(get("/", f"Max-Forwards: {hops.decode()}").replace(b"GET", method.encode()))
            head, body = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 " + status) and body == b""
        assert stage.endpoint.accepted == 1


async def test_interim_responses_are_passed_on_to_http_1_1_only(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get())
        assert await client.hear_head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert (await client.hear_head()).startswith(b"HTTP/1.1 200 OK\r\n")
        old = await stage.client()
        await old.say(b"GET / HTTP/1.0\r\n\r\n")
        assert (await old.hear_end()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_that_expects_100_continue_gets_the_endpoints_word(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        assert b"\r\nExpect: 100-continue\r\n" in await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await speaker.hear(4) == b"body"
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await speaker.hear(1)

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert await client.hear_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.say(b"body")
        assert (await client.hear_head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_answer_ahead_of_the_requests_end_is_delivered_and_the_connection_closed(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
        await speaker.hear_end()

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        head = b"HTTP/1.1 413 Too Much\r\n" + DATE + b"Content-Length: 2\r\nConnection: close\r\n\r\n"
        assert await client.hear_end() == head + b"no"
        await client.say(b"x" * 100_000)  # what the client still sends is swallowed, not answered by a reset
        await client.close()
        await stage.until(lambda: not stage.shared.connections)


async def test_a_client_that_leaves_takes_its_upstream_connection_with_it(tmp_path: Path) -> None:
    waiting, left = asyncio.Event(), asyncio.Event()

    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        waiting.set()
        try:
            assert await speaker.hear_end() == b""
        finally:
            left.set()

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get("/slow"))
        await asyncio.wait_for(waiting.wait(), 5)
        await client.close()
        await asyncio.wait_for(left.wait(), 5)
        await stage.until(lambda: not stage.shared.connections)
        [line] = stage.log_lines()
        assert (line["status"], line["error"], line["error_source"]) == (499, "gone", "client")


async def test_a_client_that_resets_in_the_middle_of_a_response_takes_its_upstream_with_it(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        try:
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                await speaker.say(b"x" * 65536)
        finally:
            left.set()

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get("/big"))
        await client.hear(100_000)
        client.reset()
        await asyncio.wait_for(left.wait(), 5)
        await stage.until(lambda: not stage.shared.connections)
        [line] = stage.log_lines()
        assert (line["status"], line["error"]) == (200, "gone")


async def test_the_log_line_tells_the_whole_exchange_and_counters_agree(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        request = get("/x?y=z", host="Host.Example:8080")
        await client.say(request)
        head, body = await client.hear_message()
        [series] = stage.shared.counters.report()["series"]  # type: ignore[misc]
        [line] = stage.log_lines()
    address = stage.addresses[0]
    assert line.pop("time").startswith("20") and line.pop("request_ms") >= line.pop("upstream_ms") > 0
    assert line == {
        "client": "127.0.0.1",
        "method": "GET",
        "host": "host.example",
        "path": "/x?y=z",
        "status": 200,
        "bytes_in": len(request),
        "bytes_out": len(head + body),
        "upstream_address": address,
        "upstream_status": 200,
        "route": "r1",
        "upstream": "u1",
        "endpoint": address,
        "vpc_id": None,
        "sticky": None,
        "retries": 0,
        "error": None,
        "error_source": None,
        "revision": 1,
    }
    assert series[:6] == ["r1", "u1", address, {"200": 1}, len(request), len(head + body)]


async def test_every_exchange_is_logged_once_and_counted_once(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, settings={"max_requests_per_connection": 0}) as stage:
        clients = [await stage.client() for _ in range(8)]
        for _ in range(25):
            for client in clients:
                await client.say(get("/a") + get("/b"))
            for client in clients:
                await client.hear_message()
                await client.hear_message()
        assert stage.shared.counters.totals["requests"] == 400
        assert len(stage.log_lines()) == 400


async def test_the_revision_is_shown_on_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        await client.say(get("/", "X-Unilb-Debug: revision"))
        assert b"\r\nX-Unilb-Revision: 1\r\n" in (await client.hear_message())[0]
        stage.put(("routes/r2", {"id": "r2", "uri": "/other", "upstream_id": "u1"}))
        await client.say(get("/", "x-unilb-debug: revision") + get("/"))
        assert b"\r\nX-Unilb-Revision: 2\r\n" in (await client.hear_message())[0]
        assert b"X-Unilb-Revision" not in (await client.hear_message())[0]


async def test_ten_configuration_changes_under_load_cost_no_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, hello, settings={"max_requests_per_connection": 0}) as stage:
        running = True
        answered = 0

        async def load() -> None:
            nonlocal answered
            client = await stage.client()
            while running:
                await client.say(get("/load"))
                head, _ = await client.hear_message()
                assert head.startswith(b"HTTP/1.1 200 ")
                answered += 1

        tasks = [asyncio.create_task(load()) for _ in range(8)]
        for number in range(10):
            aim = answered + 50
            nodes = dict.fromkeys(stage.addresses[number % 2 :], 1)
            stage.put(
                ("upstreams/u1", {"id": "u1", "type": "roundrobin", "nodes": nodes, "retries": number % 3}),
                ("routes/extra", {"id": "extra", "uri": f"/e{number}", "upstream_id": "u1"} if number % 2 else None),
            )
            await stage.until(lambda aim=aim: answered >= aim or any(task.done() for task in tasks))  # type: ignore[misc]
        running = False
        await asyncio.gather(*tasks)
        assert stage.shared.counters.errors == {}
