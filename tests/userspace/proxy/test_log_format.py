from pathlib import Path

from tests.requests import request
from tests.userspace.proxy.stage import Stage, get, hello
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
