"""Conversations that are decided by more than a head: bodies that conditions look into, paths that options change."""

from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello

REPO = b"query repo { owner { name } }"
VARS: dict[str, Any] = {"vars": [["graphql_name", "==", "repo"]]}


async def echo(speaker: Speaker) -> None:
    """Answers each request with its head's Expect field, if any, and its body."""
    while True:
        head, body = await speaker.hear_message()
        said = (b"expects " if b"\r\nExpect:" in head else b"") + body
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def post(body: bytes, *fields: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields, "", ""]).encode() + body


def chunked(*pieces: bytes) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def test_a_route_is_found_by_a_body_that_comes_bit_by_bit(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, route=VARS) as stage:
        client = await stage.client()
        for whole in (post(REPO), chunked(REPO[:5], REPO[5:]), chunked(REPO)):
            for at in range(0, len(whole), 7):
                await client.say(whole[at : at + 7])
            assert (await client.hear_message())[1] == REPO
        await client.say(post(b"query other { owner }"))
        assert (await client.hear_head()).startswith(b"HTTP/1.1 404 ")


async def test_a_request_that_no_body_can_change_is_decided_by_its_head(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, route={"methods": ["POST"], **VARS}) as stage:
        client = await stage.client()
        await client.say(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        assert (await client.hear_head()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("whole", [post(REPO), chunked(REPO[:9], REPO[9:])])
async def test_of_a_body_that_is_too_long_nothing_is_known(tmp_path: Path, whole: bytes) -> None:
    async with Stage(tmp_path, echo, settings={"max_inspected_body_bytes": len(REPO) - 1}, route=VARS) as stage:
        stage.put(("routes/r2", {"id": "r2", "uri": "/*", "priority": -1, "upstream_id": "u1"}))
        client = await stage.client()
        await client.say(whole)
        assert (await client.hear_message())[1] == REPO
    (line,) = stage.log_lines()
    assert line["route"] == "r2"


async def test_who_waits_to_be_asked_for_the_body_is_asked(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, route=VARS) as stage:
        client = await stage.client()
        await client.say(post(REPO, "Expect: 100-continue")[: -len(REPO)])
        assert (await client.hear_head()).startswith(b"HTTP/1.1 100 ")
        await client.say(REPO)
        assert (await client.hear_message())[1] == REPO


async def test_a_plugin_with_a_filter_on_the_body_has_it_read(tmp_path: Path) -> None:
    abort = {
        "_meta": {"filter": [["post_arg_key", "==", "abc"]]},
        "abort": {"http_status": 418, "body": "tea"},
    }
    form = "Content-Type: application/x-www-form-urlencoded"
    async with Stage(tmp_path, echo, route={"plugins": {"fault-injection": abort}}) as stage:
        client = await stage.client()
        for body, answer in ((b"key=abc", b"tea"), (b"key=x", b"key=x")):
            whole = post(body, form)
            await client.say(whole[:-3])
            await client.say(whole[-3:])
            assert (await client.hear_message())[1] == answer


async def test_a_client_that_goes_while_its_body_is_awaited_is_over(tmp_path: Path) -> None:
    async with Stage(tmp_path, echo, route=VARS) as stage:
        client = await stage.client()
        await client.say(post(REPO)[:-1])
        await stage.until(lambda: any(c.exchange is not None for c in stage.shared.connections))
        client.reset()
        await stage.until(lambda: not stage.shared.connections)
    assert stage.log_lines()[0]["status"] == 499


async def test_paths_are_matched_as_the_settings_say(tmp_path: Path) -> None:
    settings = {"delete_uri_tail_slash": True, "normalize_uri_like_servlet": True, "match_uri_encoded_slash": True}

    async def line(speaker: Speaker) -> None:
        while True:
            head, _ = await speaker.hear_message()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(p := head.split()[1]), p))

    async with Stage(tmp_path, line, settings=settings, route={"uri": "/a"}) as stage:
        stage.put(("routes/r2", {"id": "r2", "uri": "/b%2Fc", "upstream_id": "u1"}))
        client = await stage.client()
        for path in ("/a/", "/a;x=1", "/b%2fc", "/a;x/"):
            await client.say(get(path))
            assert (await client.hear_message())[1] == path.encode()
        await client.say(get("/a/..;/b"))
        assert (await client.hear_head()).startswith(b"HTTP/1.1 400 ")


async def test_a_route_is_found_by_who_the_client_is_where_a_proxy_says_so(tmp_path: Path) -> None:
    settings = {"real_ip_header": "X-Forwarded-For", "real_ip_from": ["127.0.0.0/8"]}
    async with Stage(tmp_path, hello, settings=settings, route={"remote_addr": "192.0.2.0/24"}) as stage:
        client = await stage.client()
        await client.say(get("/", "X-Forwarded-For: 203.0.113.1, 192.0.2.1"))
        assert (await client.hear_head()).startswith(b"HTTP/1.1 200 ")
        other = await stage.client()
        await other.say(get("/", "X-Real-IP: 192.0.2.1"))
        assert (await other.hear_head()).startswith(b"HTTP/1.1 404 ")
    assert [line["client"] for line in stage.log_lines()] == ["192.0.2.1", "127.0.0.1"]
