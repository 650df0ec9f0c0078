"""Conversations in which plugins have a word: answers, waits, changed requests and responses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from userspace.http.request import Request
from userspace.plugins.filters.fault_injection import FaultInjection
from userspace.plugins.response import Response
from userspace.plugins.summary import Summary

NOTHING: dict[str, Any] = {"fault-injection": {"delay": {"duration": 0, "percentage": 0}}}


def abort(**fields: Any) -> dict[str, Any]:
    return {"plugins": {"fault-injection": {"abort": {"http_status": 418, "body": "tea", **fields}}}}


async def test_a_plugin_answers_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route=abort(vars=[[["arg_x", "==", "1"]]])) as stage:
        client = await stage.client()
        await client.say(get("/?x=1"))
        head, body = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 418 ") and body == b"tea"
        await client.say(get("/?x=2"))
        assert (await client.hear_message())[1] == b"GET /?x=2 HTTP/1.1"
        assert stage.endpoint.accepted == 1
    first, second = stage.log_lines()
    assert (first["status"], first["upstream_address"], second["status"]) == (418, None, 200)


async def test_an_answer_to_head_has_no_body(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route=abort()) as stage:
        client = await stage.client()
        await client.say(get("/").replace(b"GET", b"HEAD") + get("/"))
        assert b"Content-Length: 3\r\n" in await client.hear_head()
        assert (await client.hear_message())[1] == b"tea"


async def test_an_upload_that_a_plugin_refuses_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route=abort()) as stage:
        client = await stage.client()
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
        head, body = await client.hear_message()
        assert b"Connection: close\r\n" in head and body == b"tea"


async def test_a_wait_delays_one_request_and_no_other(tmp_path: Path) -> None:
    delay = {"plugins": {"fault-injection": {"delay": {"duration": 0.5, "vars": [[["arg_x", "==", "1"]]]}}}}
    async with Stage(tmp_path, hello, route=delay) as stage:
        slow, quick = await stage.client(), await stage.client()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await slow.say(get("/?x=1"))
        await quick.say(get("/"))
        waiting = asyncio.ensure_future(slow.hear_message())
        await quick.hear_message()
        assert not waiting.done()
        assert (await waiting)[1] == b"GET /?x=1 HTTP/1.1"
        assert round(loop.time() - begun, 3) >= 0.5  # uvloop counts whole milliseconds


async def test_a_client_that_leaves_while_its_request_waits_is_logged_once(tmp_path: Path) -> None:
    delay = {"plugins": {"fault-injection": {"delay": {"duration": 0.05}}}}
    async with Stage(tmp_path, hello, route=delay) as stage:
        client = await stage.client()
        await client.say(get())
        await stage.until(lambda: any(c.exchange is not None for c in stage.shared.connections))
        client.reset()
        await stage.until(lambda: not stage.shared.connections)
        await asyncio.sleep(0.1)
        assert stage.endpoint.accepted == 0
    assert [line["status"] for line in stage.log_lines()] == [499]


async def test_a_global_rule_runs_where_no_route_matches(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route={"uri": "/only"}) as stage:
        stage.put(("global_rules/1", {"id": "1", **abort(vars=[[["arg_x", "==", "1"]]])}))
        client = await stage.client()
        await client.say(get("/none?x=1") + get("/none"))
        assert (await client.hear_head()).startswith(b"HTTP/1.1 418 ")
        await client.hear(3)
        assert (await client.hear_message())[1] == b'{"error_msg":"404 Route Not Found"}\n'


async def test_a_consumer_is_known_and_brings_its_plugins(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        while True:
            heard.append(await speaker.hear_head())
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with Stage(tmp_path, endpoint, route={"plugins": {"key-auth": {}}}) as stage:
        stage.put(
            ("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": "k1"}}}),
            ("consumers/jill", {"username": "jill", "plugins": {"key-auth": {"key": "k2"}, **abort()["plugins"]}}),
        )
        client = await stage.client()
        for key, status in (("none", b"401"), ("k1", b"200"), ("k2", b"418")):
            await client.say(get("/", f"apikey: {key}"))
            head, _ = await client.hear_message()
            assert head.split(b" ")[1] == status
    [head] = heard
    assert b"X-Consumer-Username: jack\r\n" in head


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> list[Summary]:
    """fault-injection, as a plugin that rewrites responses and sees the log."""
    summaries: list[Summary] = []

    def header_filter(self: FaultInjection, request: Request, response: Response) -> None:
        response.set_header(b"X-Seen", b"%d %d" % (response.status, response.is_ours))
        if request.arg("upper") is not None:
            response.transform(lambda data, is_last: data.upper() + (b"!" if is_last else b""))
        if request.arg("status") is not None:
            response.status = int(request.arg("status") or 0)

    monkeypatch.setattr(FaultInjection, "header_filter", header_filter, raising=False)
    monkeypatch.setattr(FaultInjection, "log", lambda self, request, summary: summaries.append(summary), raising=False)
    return summaries


async def test_responses_are_changed_on_their_way(tmp_path: Path, spy: list[Summary]) -> None:
    async with Stage(tmp_path, hello, route={"plugins": NOTHING}) as stage:
        client = await stage.client()
        await client.say(get("/?upper"))
        head, body = await client.hear_message()
        assert b"Transfer-Encoding: chunked\r\n" in head and b"Content-Length" not in head
        assert b"X-Seen: 200 0\r\n" in head
        assert body == b"GET /?UPPER HTTP/1.1!"
        await client.say(get("/?status=201"))
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 201 Created\r\n")
    assert [(one.status, one.upstream_status, one.is_ours) for one in spy] == [(200, 200, False), (201, 200, False)]


async def test_a_changed_body_ends_with_the_connection_for_http_1_0(tmp_path: Path, spy: list[Summary]) -> None:
    async with Stage(tmp_path, hello, route={"plugins": NOTHING}) as stage:
        client = await stage.client()
        await client.say(b"GET /?upper HTTP/1.0\r\nHost: a\r\n\r\n")
        assert (await client.hear_end()).endswith(b"\r\n\r\nGET /?UPPER HTTP/1.1!")


async def test_errors_of_ours_pass_the_header_filters_too(tmp_path: Path, spy: list[Summary]) -> None:
    async with Stage(tmp_path, "127.0.0.1:1", route={"plugins": NOTHING}) as stage:
        client = await stage.client()
        await client.say(get("/?upper"))
        head, body = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 502 ") and b"X-Seen: 502 1\r\n" in head
        assert body == b'{"ERROR_MSG":"502 BAD GATEWAY"}\n!'
    [summary] = spy
    assert (summary.status, summary.is_ours, summary.error) == (502, True, "connect_refused")


async def test_a_plugin_that_raises_closes_what_it_guards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaultInjection, "rewrite", lambda self, request: 1 // 0)
    async with Stage(tmp_path, hello, route={"plugins": NOTHING}) as stage:
        troubles: list[str] = []
        stage.shared.on_trouble = troubles.append
        client = await stage.client()
        await client.say(get())
        assert (await client.hear_head()).startswith(b"HTTP/1.1 500 ")
        assert stage.endpoint.accepted == 0
        assert "ZeroDivisionError" in troubles[0]
        assert stage.shared.counters.errors == {"internal ZeroDivisionError": 1}


async def test_an_endpoints_error_is_named(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    async with Stage(tmp_path, endpoint) as stage:
        client = await stage.client()
        await client.say(get())
        assert b"X-APISIX-Upstream-Status: 503\r\n" in await client.hear_head()


async def test_endpoints_that_cannot_be_reached_open_the_breaker(tmp_path: Path) -> None:
    unhealthy = {"http_statuses": [502, 504], "failures": 2}
    breaker = {"api-breaker": {"break_response_code": 599, "unhealthy": unhealthy}}
    async with Stage(tmp_path, "127.0.0.1:1", route={"plugins": breaker}) as stage:
        client = await stage.client()
        statuses = []
        for _ in range(3):
            await client.say(get())
            statuses.append((await client.hear_message())[0][9:12])
        assert statuses == [b"502", b"502", b"599"]
