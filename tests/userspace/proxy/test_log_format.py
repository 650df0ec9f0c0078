import re
import socket
from pathlib import Path

from tests.requests import request
from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from userspace.plugins.summary import Summary
from userspace.proxy.log_format import LogFormat

SUMMARY = Summary(
    status=200, started=1_790_000_000.0, request_ms=12.3, upstream_ms=10.0, bytes_in=50, bytes_out=300, head_bytes=100,
    upstream_address="10.0.0.1:80", upstream_status=200, error=None, is_ours=False,
)  # fmt: skip


def line(text: str, *fields: str, target: str = "/a?b") -> str:
    one = request("GET", target, *fields)
    one.summary = SUMMARY
    return LogFormat(text).line(one).decode("ascii")


def test_variables_are_filled_in_and_what_is_missing_is_a_dash() -> None:
    told = line("$remote_addr [$http_x] ${status}s $body_bytes_sent/$bytes_sent $request_time $none")
    assert told == "192.0.2.7 [-] 200s 200/300 0.012 -\n"


def test_apisix_own_format_stands_under_its_name() -> None:
    told = line("apisix", 'User-Agent: me "quoted"', "Referer: x")
    assert told.startswith("192.0.2.7 - - [")
    assert '"GET /a?b HTTP/1.1" 200 200 0.012 "x" "me \\x22quoted\\x22" 10.0.0.1:80 200 0.010 ' in told


def test_nobody_writes_lines_or_ends_quotes_by_what_they_send() -> None:
    assert line('"$http_x"', 'X: a"b\\c\u00ff') == '"a\\x22b\\x5Cc\\xC3\\xBF"\n'


async def test_exchanges_are_logged_by_it_and_bodies_counted_without_heads(tmp_path: Path) -> None:
    settings = {"access_log_format": "$request_method $uri $status $body_bytes_sent $upstream_status"}
    async with Stage(tmp_path, hello, settings=settings, route={"uri": "/x"}) as stage:
        client = await stage.client()
        await client.say(get("/x") + get("/none"))
        await client.hear_message()
        _, body = await client.hear_message()
    assert stage.text_lines() == ["GET /x 200 15 200", f"GET /none 404 {len(body)} -"]


TRIES = {"access_log_format": "$status $upstream_addr $upstream_status $upstream_response_time"}


async def test_every_try_is_listed_with_what_became_of_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, "127.0.0.1:1", hello, settings=TRIES) as stage:
        client = await stage.client()
        await client.say(get("/"))
        await client.hear_message()
        good = stage.addresses[1]
    [told] = stage.text_lines()
    words = told.replace(", ", ",").split(" ")
    assert words[:3] == ["200", f"127.0.0.1:1,{good}", "502,200"]
    assert len(words[3].split(",")) == 2


TIMES = "$upstream_connect_time $upstream_header_time $request_line"


async def test_times_of_every_try_are_listed_and_a_kept_connection_takes_none_to_open(tmp_path: Path) -> None:
    async with Stage(tmp_path, "127.0.0.1:1", hello, settings={"access_log_format": TIMES}) as stage:
        client = await stage.client()
        for _ in range(2):
            await client.say(get("/a?b"))
            await client.hear_message()
    seconds = r"\d+\.\d{3}"
    for told in stage.text_lines():
        assert re.fullmatch(rf"(-, )?{seconds} (-, )?{seconds} GET /a\?b HTTP/1\.1", told), told
    assert any(told.startswith("-, ") for told in stage.text_lines())
    assert any("0.000" in told.split(" GET")[0] for told in stage.text_lines())


async def test_an_answer_that_breaks_off_had_a_connection_and_a_head(tmp_path: Path) -> None:
    async def breaks(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        speaker.reset()

    async with Stage(tmp_path, breaks, settings={"access_log_format": TIMES}) as stage:
        client = await stage.client()
        await client.say(get("/"))
        assert await client.is_reset()
    [told] = stage.text_lines()
    assert re.match(r"\d+\.\d{3} \d+\.\d{3} GET", told), told


async def test_a_client_that_leaves_leaves_a_try_without_a_status(tmp_path: Path) -> None:
    async def silent(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.hear_end()

    async with Stage(tmp_path, "127.0.0.1:1", silent, settings=TRIES) as stage:
        client = await stage.client()
        await client.say(get("/"))
        await stage.until(lambda: stage.endpoints[1].accepted == 1)  # type: ignore[union-attr]
        client.reset()
        await stage.until(lambda: not stage.shared.connections)
    [told] = stage.text_lines()
    assert told.replace(", ", ",").split(" ")[2] == "502,-" and told.startswith("499 ")


async def test_the_time_that_connecting_took_in_vain_is_the_endpoints(tmp_path: Path) -> None:
    with socket.socket() as full:  # its backlog is, so that nobody is refused and nobody gets in
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = "{}:{}".format(*full.getsockname())
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        timeout = {"connect": 0.2, "send": 5, "read": 5}
        async with Stage(tmp_path, address, settings=TRIES, timeout=timeout) as stage:
            client = await stage.client()
            await client.say(get("/"))
            await client.hear_message()
        for one in waiting:
            one.close()
    [told] = stage.text_lines()
    status, where, seen, seconds = told.split(" ")
    assert (status, where, seen) == ("504", address, "504") and float(seconds) >= 0.2
