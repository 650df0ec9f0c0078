"""What is logged of bytes that never became a request; whole exchanges are in test_exchange.py."""

from pathlib import Path

from tests.userspace.proxy.stage import Stage, get, hello


async def test_a_refusal_is_one_line_without_a_request_and_counts_as_one(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        bad = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"
        await client.say(bad)
        answer = await client.hear_end()
        [series] = stage.shared.counters.report()["series"]  # type: ignore[misc]
        [line] = stage.log_lines()
    assert line.pop("time").startswith("20")
    assert line.pop("error").startswith("space before colon")
    assert line == {
        "client": "127.0.0.1",
        "status": 400,
        "bytes_in": len(bad),
        "bytes_out": len(answer),
        "error_source": "client",
        "revision": 1,
    }
    assert series[:4] == ["", "", "", {"400": 1}]


async def test_hostile_targets_stay_inside_their_line(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        target = '/"\\u0000%00x%ff%0a{}<>'.replace("%00", "")
        await client.say(get(target))
        await client.hear_message()
        [line] = stage.log_lines()
    assert line["path"] == target


async def test_bytes_read_ahead_count_for_the_request_they_belong_to(tmp_path: Path) -> None:
    requests = [get("/1"), get("/222"), get("/33333")]
    async with Stage(tmp_path, hello) as stage:
        client = await stage.client()
        await client.say(b"".join(requests))
        for _ in requests:
            await client.hear_message()
        assert [line["bytes_in"] for line in stage.log_lines()] == [len(request) for request in requests]


async def test_a_route_404_is_logged_with_its_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, route={"uri": "/only"}) as stage:
        client = await stage.client()
        await client.say(get("/none"))
        await client.hear_message()
        [line] = stage.log_lines()
        assert (line["status"], line["path"], line["route"], line["endpoint"], line["error"]) == (
            404,
            "/none",
            None,
            None,
            None,
        )
