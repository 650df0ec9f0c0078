from pathlib import Path

import pytest

from tests.userspace.proxy.stage import Speaker, Stage, get, hello

NOBODY = "127.0.0.1:1"
FIELD = b"X-APISIX-Upstream-Status: "


async def broken(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


async def silent(speaker: Speaker) -> None:
    await speaker.hear_message()
    await speaker.hear_message()


def told(head: bytes) -> bytes | None:
    return next((line.removeprefix(FIELD) for line in head.split(b"\r\n") if line.startswith(FIELD)), None)


@pytest.mark.parametrize("shown", [False, True])
async def test_every_answer_tells_it_where_that_is_set_and_else_those_of_5xx(tmp_path: Path, shown: bool) -> None:
    settings = {"show_upstream_status_in_response_header": shown}
    async with Stage(tmp_path, hello, settings=settings) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert told((await client.hear_message())[0]) == (b"200" if shown else None)
        await client.say(get("/").replace(b"Host: a.example", b"Host: a.example\r\nX: y"))
        assert told((await client.hear_message())[0]) == (b"200" if shown else None)
    async with Stage(tmp_path, broken, settings=settings) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert told((await client.hear_message())[0]) == b"503"


async def test_tries_that_failed_are_told_with_the_last_one(tmp_path: Path) -> None:
    settings = {"show_upstream_status_in_response_header": True}
    async with Stage(tmp_path, NOBODY, hello, settings=settings) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert told((await client.hear_message())[0]) == b"502, 200"


async def test_an_answer_of_ours_tells_what_it_is_for(tmp_path: Path) -> None:
    async with Stage(tmp_path, NOBODY) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert told((await client.hear_message())[0]) == b"502"
    timeout = {"connect": 5, "send": 5, "read": 0.05}
    async with Stage(tmp_path, silent, route={"timeout": timeout}) as stage:
        client = await stage.client()
        await client.say(get("/").replace(b"GET", b"POST"))
        head = (await client.hear_message())[0]
        assert head.startswith(b"HTTP/1.1 504 ") and told(head) == b"504"
    async with Stage(tmp_path, hello, nodes={}) as stage:
        client = await stage.client()
        await client.say(get("/"))
        head = (await client.hear_message())[0]
        assert head.startswith(b"HTTP/1.1 503 ") and told(head) is None


async def test_filters_of_the_answer_know_what_all_tries_ended_with(tmp_path: Path) -> None:
    def told_when(*rule: object) -> dict[str, object]:
        return {"_meta": {"filter": [list(rule)]}, "headers": {"set": {"X-Tries": "$upstream_status $upstream_addr"}}}

    route = {"plugins": {"response-rewrite": told_when("upstream_status", "~=", 200)}}
    async with Stage(tmp_path, hello, route=route) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert b"X-Tries" not in (await client.hear_message())[0]
    route = {"plugins": {"response-rewrite": told_when("upstream_status", "==", "502")}}
    async with Stage(tmp_path, NOBODY, route=route) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert f"X-Tries: 502 {NOBODY}\r\n".encode() in (await client.hear_message())[0]
