"""Session persistence through the proxy: HAProxy's `cookie NAME insert indirect nocache`."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

from tests.userspace.proxy.stage import Speaker, Stage, get

KEYS = {"current": base64.b64encode(b"k" * 32).decode()}
OLD_KEYS = {"current": base64.b64encode(b"n" * 32).decode(), "previous": KEYS["current"]}


async def tell_port(speaker: Speaker) -> None:
    """Answers with its own port and the Cookie field it saw."""
    port = speaker.writer.get_extra_info("sockname")[1]
    while True:
        head = await speaker.hear_head()
        cookies = [line for line in head.split(b"\r\n") if line.lower().startswith(b"cookie:")]
        body = b"%d|" % port + b"|".join(cookies)
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def sticky_stage(folder: Path, *scripts: Any, keys: dict[str, str] = KEYS, **conf: Any) -> Stage:
    stage = Stage(folder, *(scripts or (tell_port, tell_port, tell_port)), route={"plugins": {"sticky": conf}})
    return stage


async def ask(stage: Stage, *fields: str) -> tuple[bytes, bytes, str | None]:
    """(head, body, our cookie if one was set)"""
    client = await stage.client()
    await client.say(get("/", *fields))
    head, body = await client.hear_message()
    cookies = [line for line in head.decode().split("\r\n") if line.startswith("Set-Cookie: UNILB=")]
    return head, body, cookies[0].removeprefix("Set-Cookie: ").split(";")[0] if cookies else None


def rotate(stage: Stage, keys: dict[str, str]) -> None:
    stage.put(("keys/sticky", keys), prefix="/unilb/")


async def test_a_new_client_gets_a_cookie_and_is_held_to_its_endpoint(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS)
        head, body, cookie = await ask(stage)
        assert cookie is not None and b"\r\nCache-Control: private\r\n" in head
        assert "; Path=/; HttpOnly\r\n" in head.decode()
        for _ in range(6):
            head, again, renewed = await ask(stage, f"Cookie: a=1; {cookie}; b=2")
            assert again.split(b"|")[0] == body.split(b"|")[0]
            assert renewed is None and b"Cache-Control" not in head
            assert again.endswith(b"|Cookie: a=1; b=2"), "the endpoint does not see our cookie"
        assert [line["sticky"] for line in stage.log_lines()] == ["new"] + ["valid"] * 6
        assert stage.shared.counters.sticky == {"new": 1, "valid": 6}


async def test_without_a_cookie_requests_are_spread(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS)
        seen = Counter([(await ask(stage))[1].split(b"|")[0] for _ in range(6)])
        assert sorted(seen.values()) == [2, 2, 2]


async def test_a_cookie_field_with_nothing_else_in_it_is_dropped(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS)
        cookie = (await ask(stage))[2]
        assert (await ask(stage, f"Cookie: {cookie}"))[1].endswith(b"|")


async def test_a_forged_cookie_is_ignored_and_replaced(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS)
        _, _, cookie = await ask(stage, "Cookie: UNILB=" + "A" * 22)
        assert cookie is not None and cookie != "UNILB=" + "A" * 22
        assert stage.log_lines()[0]["sticky"] == "invalid"


async def test_a_cookie_of_the_previous_key_is_honoured_and_renewed(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS)
        _, body, cookie = await ask(stage)
        rotate(stage, OLD_KEYS)
        for _ in range(3):
            _, again, renewed = await ask(stage, f"Cookie: {cookie}")
            assert again.split(b"|")[0] == body.split(b"|")[0]
            assert renewed not in (None, cookie)


async def test_a_client_whose_endpoint_is_down_moves_and_gets_the_new_ones_cookie(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path, tell_port, tell_port) as stage:
        rotate(stage, KEYS)
        _, body, cookie = await ask(stage)
        home = int(body.split(b"|")[0])
        [endpoint] = [item for item in stage.endpoints if item.port == home]  # type: ignore[union-attr]
        await endpoint.close()  # type: ignore[union-attr]
        _, again, moved = await ask(stage, f"Cookie: {cookie}")
        assert int(again.split(b"|")[0]) != home and moved not in (None, cookie)


async def test_without_keys_a_sticky_route_serves_and_sets_nothing(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        _, _, cookie = await ask(stage)
        assert cookie is None
        assert stage.log_lines()[0]["sticky"] == "none"


async def test_the_endpoints_own_cookie_of_that_name_is_replaced_and_its_cache_rule_kept(tmp_path: Path) -> None:
    async def endpoint(speaker: Speaker) -> None:
        await speaker.hear_head()
        fields = b"Set-Cookie: UNILB=mine\r\nSet-Cookie: other=1\r\nCache-Control: no-store\r\n"
        await speaker.say(b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % fields)
        await speaker.hear(1)

    async with sticky_stage(tmp_path, endpoint) as stage:
        rotate(stage, KEYS)
        head, _, cookie = await ask(stage)
        assert cookie is not None and b"UNILB=mine" not in head and b"Set-Cookie: other=1\r\n" in head
        assert head.count(b"Cache-Control") == 1
