"""Bodies longer than a plugin allows, methods and statuses that plugins change, and filters that raise."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from userspace.http.request import Request
from userspace.plugins.filters.response_rewrite import ResponseRewrite
from userspace.plugins.response import Response

FIVE: dict[str, Any] = {"plugins": {"client-control": {"max_body_size": 5}}}
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def silent(speaker: Speaker) -> None:
    await asyncio.sleep(60)


async def test_a_body_of_the_allowed_length_passes(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route=FIVE) as stage:
        client = await stage.client()
        await client.say(CHUNKED + b"5\r\nHello\r\n0\r\n\r\n")
        assert (await client.hear_message())[0].startswith(b"HTTP/1.1 200 ")


async def test_a_chunked_body_that_is_too_long_at_once_reaches_no_endpoint(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route=FIVE) as stage:
        client = await stage.client()
        await client.say(CHUNKED + b"6\r\nHello \r\n0\r\n\r\n")
        head, body = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 413 ") and b"413 Request Entity Too Large" in body
        assert stage.endpoint.accepted == 0
    [line] = stage.log_lines()
    assert (line["status"], line["error"]) == (413, "body_too_large")


async def test_a_chunked_body_that_becomes_too_long_is_refused_and_the_endpoint_left(tmp_path: Path) -> None:
    async with Stage(tmp_path, silent, route=FIVE) as stage:
        client = await stage.client()
        await client.say(CHUNKED + b"3\r\nHel\r\n")
        await stage.until(lambda: stage.endpoint.accepted == 1)
        await client.say(b"3\r\nlo \r\n")
        head, _ = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 413 ") and b"Connection: close\r\n" in head


async def test_an_answer_that_has_begun_is_cut_when_the_body_becomes_too_long(tmp_path: Path) -> None:
    async def early(speaker: Speaker) -> None:
        await speaker.hear_head()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        await asyncio.sleep(60)

    async with Stage(tmp_path, early, route=FIVE) as stage:
        client = await stage.client()
        await client.say(CHUNKED + b"3\r\nHel\r\n")
        await client.hear_head()
        await client.say(b"3\r\nlo \r\n")
        assert await client.is_reset()


async def test_a_body_that_is_too_long_to_be_changed_is_cut_and_told(tmp_path: Path) -> None:
    rewrite = {"response-rewrite": {"filters": [{"regex": "a", "replace": "b"}], "max_resp_body_size": 5}}
    async with Stage(tmp_path, hello, route={"plugins": rewrite}) as stage:
        troubles: list[str] = []
        stage.shared.on_trouble = troubles.append
        client = await stage.client()
        await client.say(get())
        assert await client.is_reset()
        assert "max_resp_body_size" in troubles[0]


async def test_a_header_filter_that_raises_makes_it_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def header_filter(self: ResponseRewrite, request: Request, response: Response) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ResponseRewrite, "header_filter", header_filter)
    route = {"plugins": {"response-rewrite": {"body": "x"}, "mocking": {"response_example": "x"}}}
    async with Stage(tmp_path, hello, route=route) as stage:
        client = await stage.client()
        await client.say(get())
        head, body = await client.hear_message()
        assert head.startswith(b"HTTP/1.1 500 ") and body == b'{"error_msg":"500 Internal Server Error"}\n'


@pytest.mark.parametrize(("asked", "sent"), [(b"HEAD", "GET"), (b"GET", "HEAD")])
async def test_a_client_gets_an_answer_to_its_own_method(tmp_path: Path, asked: bytes, sent: str) -> None:
    async def endpoint(speaker: Speaker) -> None:
        while True:
            head = await speaker.hear_head()
            assert head.startswith(f"{sent} / ".encode())
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + (b"body" if sent == "GET" else b""))

    async with Stage(tmp_path, endpoint, route={"plugins": {"proxy-rewrite": {"method": sent}}}) as stage:
        client = await stage.client()
        for _ in range(2):
            await client.say(get().replace(b"GET", asked))
            head = await client.hear_head()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert (b"Content-Length: 4\r\n" in head) is (asked == b"HEAD")


async def test_an_answer_whose_status_has_no_body_gets_none(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route={"plugins": {"response-rewrite": {"status_code": 204}}}) as stage:
        client = await stage.client()
        for _ in range(2):
            await client.say(get())
            head = await client.hear_head()
            assert head.startswith(b"HTTP/1.1 204 ") and b"Content-Length" not in head


async def test_what_plugins_make_of_x_forwarded_fields_counts(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def endpoint(speaker: Speaker) -> None:
        heard.append(await speaker.hear_head())
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    headers = {"set": {"X-Forwarded-Proto": "https", "X-Forwarded-For": "9.9.9.9"}, "remove": ["X-Forwarded-Host"]}
    route = {"plugins": {"proxy-rewrite": {"headers": headers}}}
    async with Stage(tmp_path, endpoint, route=route, settings={"trusted_addresses": ["10.0.0.1"]}) as stage:
        client = await stage.client()
        await client.say(get("/", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Port: 7", "X-Forwarded-Host: evil"))
        await client.hear_head()
    [head] = heard
    assert b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: %d\r\n" % stage.port in head
    assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n" in head and b"X-Forwarded-Host" not in head
