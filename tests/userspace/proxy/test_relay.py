"""Compressed answers on their way. The rest of a relay: test_exchange.py, test_exchange_plugins.py."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import brotli

from tests.userspace.proxy.stage import Speaker, Stage, get

PAGE = b"<p>a page of some length, said over and over</p>\n" * 2000
GZIP = "Accept-Encoding: gzip"


async def pages(speaker: Speaker) -> None:
    """Answers with PAGE: in one piece of known length, or for /chunked in pieces."""
    while True:
        head, _ = await speaker.hear_message()
        method, path = head.split(b" ")[:2]
        start = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "1"\r\n'
        if path == b"/chunked":
            await speaker.say(start + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await speaker.hear_head()  # the client's word that it has that
            await speaker.say(b"4\r\nlast\r\n0\r\n\r\n")
        else:
            body = b"" if method == b"HEAD" else PAGE
            await speaker.say(start + b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), body))


def plugins(**more: Any) -> dict[str, Any]:
    return {"plugins": {"gzip": {}, **more}}


async def test_a_page_is_compressed_for_who_accepts_it_and_for_nobody_else(tmp_path: Path) -> None:
    async with Stage(tmp_path, pages, route=plugins(brotli={})) as stage:
        client = await stage.client()
        for accepted, coding, decode in (
            ("gzip", b"gzip", gzip.decompress),
            ("gzip, br", b"br", brotli.decompress),
            ("identity", b"", bytes),
        ):
            await client.say(get("/", f"Accept-Encoding: {accepted}"))
            head, body = await client.hear_message()
            assert decode(body) == PAGE and (b"Content-Encoding: %b\r\n" % coding in head) is bool(coding)
            assert (len(body) < 2000) is bool(coding) and (b'ETag: W/"1"' in head) is bool(coding)
        # What HEAD says of the length is right for the page that is not compressed, and nothing says it were.
        await client.say(get("/", GZIP).replace(b"GET", b"HEAD"))
        head = await client.hear_head()
        assert b"Content-Length: %d\r\n" % len(PAGE) in head and b"Content-Encoding" not in head


async def test_it_is_compressed_behind_what_other_plugins_make_of_it(tmp_path: Path) -> None:
    rewrite = {"filters": [{"regex": "page", "replace": "leaf", "scope": "global"}]}
    async with Stage(tmp_path, pages, route=plugins(**{"response-rewrite": rewrite})) as stage:
        client = await stage.client()
        await client.say(get("/", GZIP))
        head, body = await client.hear_message()
        assert gzip.decompress(body) == PAGE.replace(b"page", b"leaf") and b"Content-Encoding: gzip\r\n" in head


async def test_what_came_of_a_stream_is_passed_on_at_once(tmp_path: Path) -> None:
    async with Stage(tmp_path, pages, route=plugins()) as stage:
        client = await stage.client()
        await client.say(get("/chunked", GZIP))
        await client.hear_head()
        inflate, text = zlib.decompressobj(31), b""
        while text != b"first":
            size = int(await client.hear_line(), 16)
            text += inflate.decompress((await client.hear(size + 2))[:-2])
        [endpoint] = stage.endpoint.speakers
        endpoint.reader.feed_data(b"\r\n\r\n")
        while size := int(await client.hear_line(), 16):
            text += inflate.decompress((await client.hear(size + 2))[:-2])
        assert text == b"firstlast" and inflate.eof


async def test_answers_of_ours_are_compressed_too(tmp_path: Path) -> None:
    mocking = {"response_example": PAGE.decode(), "content_type": "text/html"}
    async with Stage(tmp_path, pages, route=plugins(mocking=mocking)) as stage:
        client = await stage.client()
        await client.say(get("/", GZIP))
        head, body = await client.hear_message()
        assert gzip.decompress(body) == PAGE and b"Content-Encoding: gzip\r\n" in head
        assert b"Content-Length: %d\r\n" % len(body) in head


async def test_a_client_of_http_1_0_gets_it_where_that_is_wanted(tmp_path: Path) -> None:
    route = {"plugins": {"gzip": {"http_version": 1}}}
    async with Stage(tmp_path, pages, route=route) as stage:
        client = await stage.client()
        await client.say(b"GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = (await client.hear_end()).partition(b"\r\n\r\n")
        assert gzip.decompress(body) == PAGE and b"chunked" not in head


async def test_a_client_that_leaves_gives_the_memory_back(tmp_path: Path) -> None:
    async with Stage(tmp_path, pages, route=plugins()) as stage:
        coders = stage.env.coders
        client = await stage.client()
        await client.say(get("/chunked", GZIP))
        await client.hear_head()
        assert coders.taken > 0
        client.reset()
        await stage.until(lambda: coders.taken == 0)
