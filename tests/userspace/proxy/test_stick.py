"""Session persistence by cookies that carry a token: through the proxy, and what each policy makes of them."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint
from tests.userspace.proxy.stage import Speaker, Stage, get
from tests.userspace.proxy.sticking import DRAINED, KEYS, WEB, compiled, cookies, set_by, stick, token
from userspace.balancer.picker import NONE

KEYS_IN_STORE = {"current": base64.b64encode(b"k" * 32).decode()}
OLD_KEYS = {"current": base64.b64encode(b"n" * 32).decode(), "previous": KEYS_IN_STORE["current"]}


async def tell_port(speaker: Speaker) -> None:
    """Answers with its own port and the Cookie field it saw."""
    port = speaker.writer.get_extra_info("sockname")[1]
    while True:
        head = await speaker.hear_head()
        cookies = [line for line in head.split(b"\r\n") if line.lower().startswith(b"cookie:")]
        body = b"%d|" % port + b"|".join(cookies)
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def sticky_stage(folder: Path, *scripts: Any, keys: dict[str, str] = KEYS_IN_STORE, **conf: Any) -> Stage:
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
        rotate(stage, KEYS_IN_STORE)
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
        rotate(stage, KEYS_IN_STORE)
        seen = Counter([(await ask(stage))[1].split(b"|")[0] for _ in range(6)])
        assert sorted(seen.values()) == [2, 2, 2]


async def test_a_cookie_field_with_nothing_else_in_it_is_dropped(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS_IN_STORE)
        cookie = (await ask(stage))[2]
        assert (await ask(stage, f"Cookie: {cookie}"))[1].endswith(b"|")


async def test_a_forged_cookie_is_ignored_and_replaced(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS_IN_STORE)
        _, _, cookie = await ask(stage, "Cookie: UNILB=" + "A" * 22)
        assert cookie is not None and cookie != "UNILB=" + "A" * 22
        assert stage.log_lines()[0]["sticky"] == "invalid"


async def test_a_cookie_of_the_previous_key_is_honoured_and_renewed(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path) as stage:
        rotate(stage, KEYS_IN_STORE)
        _, body, cookie = await ask(stage)
        rotate(stage, OLD_KEYS)
        for _ in range(3):
            _, again, renewed = await ask(stage, f"Cookie: {cookie}")
            assert again.split(b"|")[0] == body.split(b"|")[0]
            assert renewed not in (None, cookie)


async def test_a_client_whose_endpoint_is_down_moves_and_gets_the_new_ones_cookie(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path, tell_port, tell_port) as stage:
        rotate(stage, KEYS_IN_STORE)
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
        rotate(stage, KEYS_IN_STORE)
        head, _, cookie = await ask(stage)
        assert cookie is not None and b"UNILB=mine" not in head and b"Set-Cookie: other=1\r\n" in head
        assert head.count(b"Cache-Control") == 1


@pytest.mark.parametrize(
    ("conf", "shown", "down", "state", "held"),
    [
        ({}, None, (), "none", None),
        ({}, WEB[1], (), "valid", WEB[1]),
        ({}, WEB[1], (WEB[1],), "moved", None),
        ({"when_down": "refuse"}, WEB[1], (WEB[1],), "refused", None),
        ({"when_down": "refuse"}, WEB[1], (WEB[0],), "valid", WEB[1]),
        ({}, DRAINED, (), "valid", DRAINED),
        ({"when_drained": "repick"}, DRAINED, (), "moved", None),
        ({"when_drained": "refuse"}, DRAINED, (), "refused", None),
        ({"when_drained": "refuse"}, DRAINED, (DRAINED,), "moved", None),
        ({"when_down": "refuse"}, WEB[1], WEB, "valid", WEB[1]),
    ],
)
@pytest.mark.parametrize("mode", ["insert", "rewrite", "prefix"])
def test_the_policies(
    mode: str,
    conf: dict[str, Any],
    shown: Endpoint | None,
    down: tuple[Endpoint, ...],
    state: str,
    held: Endpoint | None,
) -> None:
    value = token(shown) + ("~x" if mode == "prefix" else "") if shown is not None else ""
    fields = [f"Cookie: S={value}"] if value else []
    of = compiled(*down, *((DRAINED,) if down == WEB else ()))
    found, _ = stick({"mode": mode, "cookie": "S", **conf}, *fields, of=of)
    assert (found.state, found.endpoint) == (state, held)
    picked = found.pick(NONE, "")
    if state == "refused":
        assert picked is None
    else:
        assert picked is not None and picked not in of.down and (held is None or picked == held)


def test_a_retry_leaves_the_endpoint_only_where_that_is_allowed() -> None:
    for when_down, others in (("repick", set(WEB[:1] + WEB[2:])), ("refuse", {None})):
        found, _ = stick({"when_down": when_down}, f"Cookie: UNILB={token(WEB[1])}")
        assert found.pick(NONE, "") == WEB[1]
        assert {found.pick({WEB[1]}, "") for _ in range(8)} == others
    moved, _ = stick({}, f"Cookie: UNILB={token(WEB[1])}")
    assert set_by(moved, WEB[0]) == [f"UNILB={token(WEB[0])}; Path=/; HttpOnly".encode()]
    assert moved.state == "moved"


def test_rewrite_replaces_the_value_that_the_endpoint_sets() -> None:
    conf = {"mode": "rewrite", "cookie": "S"}
    found, asked = stick(conf, "Cookie: a=1")
    assert set_by(found, WEB[2], b"S=abc; Path=/x; Secure", b"T=1") == [
        f"S={token(WEB[2])}; Path=/x; Secure".encode(),
        b"T=1",
    ]
    assert found.state == "new" and cookies(asked) == [b"a=1"]
    again, asked = stick(conf, f"Cookie: a=1; S={token(WEB[2])}")
    assert again.pick(NONE, "") == WEB[2] and set_by(again, WEB[2]) == []
    assert cookies(asked) == [f"a=1; S={token(WEB[2])}".encode()], "as the client sent it"


def test_rewrite_does_nothing_while_the_endpoint_sets_no_such_cookie() -> None:
    found, _ = stick({"mode": "rewrite", "cookie": "S"}, "Cookie: S=its-own")
    assert found.state == "invalid" and set_by(found, WEB[0], b"T=1") == [b"T=1"]


def test_prefix_goes_before_the_value_and_off_again() -> None:
    conf = {"mode": "prefix", "cookie": "S"}
    found, _ = stick(conf)
    [given] = set_by(found, WEB[3], b"S=abc~def; Path=/")
    assert given == f"S={token(WEB[3])}~abc~def; Path=/".encode()
    again, asked = stick(conf, "Cookie: a=1; " + given.split(b";")[0].decode() + "; b=2")
    assert again.pick(NONE, "") == WEB[3]
    assert cookies(asked) == [b"a=1; S=abc~def; b=2"]


@pytest.mark.parametrize(
    ("value", "seen", "state"),
    [("own", "own", "none"), ("own~x", "own~x", "none"), ("A" * 22 + "~x", "x", "invalid"), ("", "", "none")],
)
def test_prefix_takes_off_nothing_but_tokens(value: str, seen: str, state: str) -> None:
    found, asked = stick({"mode": "prefix", "cookie": "S"}, f"Cookie: S={value}")
    assert cookies(asked) == [f"S={seen}".encode()] and found.state == state


def test_a_token_of_the_previous_key_holds_and_is_renewed_in_every_mode() -> None:
    both = StickyKeys(b"n" * 32, KEYS.current)
    of = compiled(keys=both)
    for mode, end in (("insert", ""), ("rewrite", ""), ("prefix", "~x")):
        found, _ = stick({"mode": mode, "cookie": "S"}, f"Cookie: S={token(WEB[1])}{end}", of=of)
        assert found.pick(NONE, "") == WEB[1]
        assert set_by(found, WEB[1], b"S=x")[-1].startswith(f"S={token(WEB[1], both)}".encode())


def test_without_keys_the_endpoints_cookie_stays_as_it_is() -> None:
    for mode in ("insert", "rewrite", "prefix"):
        found, _ = stick({"mode": mode, "cookie": "S"}, of=compiled(keys=None))
        assert set_by(found, WEB[0], b"S=abc") == [b"S=abc"]


async def test_a_client_that_may_not_move_is_refused_and_logged_as_such(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path, tell_port, tell_port, when_down="refuse") as stage:
        rotate(stage, KEYS_IN_STORE)
        _, body, cookie = await ask(stage)
        home = body.split(b"|")[0].decode()
        stage.router.live.set_down({"u1": [f"127.0.0.1:{home}"]})
        stage.router.refresh(["u1"])
        head, _, renewed = await ask(stage, f"Cookie: {cookie}")
        assert head.startswith(b"HTTP/1.1 503 ") and renewed is None
        stage.router.live.set_down({"u1": []})
        stage.router.refresh(["u1"])
        _, again, _ = await ask(stage, f"Cookie: {cookie}")
        assert again.split(b"|")[0].decode() == home
        lines = stage.log_lines()
        assert [line["sticky"] for line in lines] == ["new", "refused", "valid"]
        assert [line["error"] for line in lines] == [None, "stick_refused", None]


async def test_a_client_whose_endpoint_refuses_connections_stays_there_where_it_may_not_move(tmp_path: Path) -> None:
    async with sticky_stage(tmp_path, tell_port, tell_port, when_down="refuse") as stage:
        rotate(stage, KEYS_IN_STORE)
        _, body, cookie = await ask(stage)
        [endpoint] = [item for item in stage.endpoints if item.port == int(body.split(b"|")[0])]  # type: ignore[union-attr]
        await endpoint.close()  # type: ignore[union-attr]
        stage.shared.pools.close()
        head, _, _ = await ask(stage, f"Cookie: {cookie}")
        assert head.startswith(b"HTTP/1.1 502 ") and stage.log_lines()[-1]["error"] == "connect_refused"
