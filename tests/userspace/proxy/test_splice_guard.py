"""What keeps a connection in the worker, by its effect: whether the node is asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.config.objects_in_store import sticky_keys
from tests.userspace.proxy.fake_node import FakeNode
from tests.userspace.proxy.stage import Speaker, Stage, get, hello
from tests.userspace.proxy.test_behind_proxy import WHO, Proxied
from tests.userspace.proxy.tls_stage import TlsStage
from userspace.http.footprint import ALWAYS, COOKIE, EXTRA, QUERY, USER_AGENT
from userspace.http.proxy_protocol import header

SETTINGS = {"real_ip_from": []}
AUTO: dict[str, Any] = {"route": {"splice": "auto"}, "settings": SETTINGS}


async def close(speaker: Speaker) -> None:
    """Answers each request and ends."""
    await speaker.hear_message()
    await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


async def old(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")


async def chunked(speaker: Speaker) -> None:
    while True:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")


def auto(**route: Any) -> dict[str, Any]:
    return {"route": {"splice": "auto", **route}, "settings": SETTINGS}


def plugin(name: str, **conf: Any) -> dict[str, Any]:
    return auto(plugins={name: conf})


async def mask_of(folder: Path, options: dict[str, Any], *fields: str, path: str = "/a") -> tuple[int, int] | None:
    """(mask, hashes that are not 0) of the guard that the node is asked for; None when it is not."""
    async with Stage(folder, hello, **options) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(get(path, *fields))
            await client.hear_message()
            await client.say(get(path, *fields))
            await stage.until(lambda: bool(len(client.reader._buffer)) or node.is_asked)  # type: ignore[attr-defined]
            if not node.is_asked:
                return None
            guard = (await node.question()).message["guard"]
            return guard["mask"], sum((value != "0") << number for number, value in enumerate(guard["hashes"]))


@pytest.mark.parametrize(
    ("options", "fields", "expected"),
    [
        (auto(), (), (ALWAYS, ALWAYS)),
        (auto(vars=[["arg_a", "~=", "1"]]), (), (ALWAYS | QUERY, ALWAYS)),
        (auto(vars=[["http_x_a", "==", "1"]]), ("X-A: 1",), (ALWAYS | EXTRA, ALWAYS | EXTRA)),
        (auto(remote_addr="127.0.0.1"), (), (ALWAYS, ALWAYS)),
        (plugin("ua-restriction", denylist=["Bot"]), ("User-Agent: a",), (ALWAYS | USER_AGENT, ALWAYS | USER_AGENT)),
        (plugin("uri-blocker", block_rules=["x"]), (), (ALWAYS | QUERY, ALWAYS)),
        (plugin("ip-restriction", whitelist=["127.0.0.1"]), (), (ALWAYS, ALWAYS)),
        ({**auto(), "type": "chash", "hash_on": "cookie", "key": "c"}, ("Cookie: c=1",), (ALWAYS | COOKIE,) * 2),
        (plugin("sticky", mode="source_ip"), (), (ALWAYS, ALWAYS)),
        (plugin("sticky", mode="header", header="X-A"), ("X-A: 1",), (ALWAYS | EXTRA, ALWAYS | EXTRA)),
    ],
)
async def test_it_is_asked_for_with_what_the_decision_depended_on(
    tmp_path: Path, options: dict[str, Any], fields: tuple[str, ...], expected: tuple[int, int]
) -> None:
    assert await mask_of(tmp_path, options, *fields) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"route": {"splice": "opaque"}, "settings": SETTINGS},
        {"settings": SETTINGS},
        {"route": {"splice": "auto"}},  # 127.0.0.1 may name others in X-Real-IP
        auto(filter_func="function(vars) return vars.uri ~= '/b' end"),
        auto(vars=[["http_x_a", "~=", "1"], ["http_x_b", "~=", "1"]]),
        auto(vars=[["content_type", "~=", "1"]]),
        plugin("request-id"),
        plugin("limit-count", count=9, time_window=9),
        plugin("prometheus"),
        plugin("ua-restriction", denylist=["x"], _meta={"filter": [["http_x_b", "~=", "1"], ["http_x_a", "~=", "1"]]}),
        plugin("sticky", mode="rewrite", cookie="c"),
        plugin("sticky", mode="app_cookie", cookie="c"),
        {**auto(), "pass_host": "node"},
        {**auto(), "type": "least_conn"},
        {**auto(), "limits": {"connections": 3}},
        {**auto(), "limits": {"requests": 3}},
        {**auto(), "checks": {"active": {"type": "tcp"}, "passive": {}}},
        {**auto(), "settings": {**SETTINGS, "max_request_body_bytes": 9}},
        {**auto(), "settings": {**SETTINGS, "max_connections_per_client": 9}},
        {**auto(), "settings": {**SETTINGS, "show_upstream_status_in_response_header": True}},
        {**auto(), "settings": {**SETTINGS, "max_requests_per_connection": 2}},
    ],
)
async def test_what_only_the_worker_can_do_keeps_it(tmp_path: Path, options: dict[str, Any]) -> None:
    assert await mask_of(tmp_path, options) is None


@pytest.mark.parametrize("script", [close, old])
async def test_an_endpoint_that_does_not_keep_connections_is_not_asked_for(tmp_path: Path, script: Any) -> None:
    async with Stage(tmp_path, script, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            for _ in range(3):
                await client.say(get())
                assert (await client.hear_message())[1] == b"ok"
            assert not node.is_asked


async def test_a_chunked_response_ends_with_its_last_chunk_in_the_tail(tmp_path: Path) -> None:
    async with Stage(tmp_path, chunked, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(get())
            await client.hear_message()
            await client.say(get())
            question = await node.question()
            node.spliced(question)
            assert (await client.hear_message())[1] == b"ok"


@pytest.mark.parametrize(
    "asked",
    [
        get("http://a.example/"),
        get("/", "Cookie: a=1", "Cookie: b=1"),
        b"OPTIONS / HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 3\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=["absolute", "two cookies", "counted hops", "HTTP/1.0"],
)
async def test_a_request_that_the_kernel_could_not_compare_is_not_asked_for(tmp_path: Path, asked: bytes) -> None:
    async with Stage(tmp_path, hello, **auto(vars=[["cookie_c", "~=", "1"]])) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            for _ in range(2):
                await client.say(asked)
                await client.hear_message()
            assert not node.is_asked


async def test_pipelined_requests_are_answered_first(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(get("/1") + get("/2") + get("/3"))
            for _ in range(3):
                await client.hear_message()
            await client.say(get("/4"))
            assert (await node.question()).message["tail"] > 0


async def test_what_was_decided_by_another_configuration_stays(tmp_path: Path) -> None:
    stages: list[Stage] = []

    async def slow(speaker: Speaker) -> None:
        for number in range(3):
            await speaker.hear_message()
            if number == 1:
                stages[0].put(("routes/r9", {"id": "r9", "uri": "/other", "upstream_id": "u1"}))
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with Stage(tmp_path, slow, **AUTO) as stage:
        stages.append(stage)
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            for _ in range(3):
                await client.say(get())
                await client.hear_message()
            assert not node.is_asked


async def test_an_endpoint_that_went_down_meanwhile_is_not_held_on_to(tmp_path: Path) -> None:
    stages: list[Stage] = []

    async def slow(speaker: Speaker) -> None:
        for number in range(3):
            await speaker.hear_message()
            if number == 1:
                stages[0].router.refresh(["u1"])  # as when the checker has news
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with Stage(tmp_path, slow, **AUTO) as stage:
        stages.append(stage)
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            for _ in range(3):
                await client.say(get())
                await client.hear_message()
            assert not node.is_asked


async def test_tls_stays(tmp_path: Path) -> None:
    async with TlsStage(tmp_path, hello, **AUTO) as stage:
        with FakeNode(stage.shared) as node:
            client = await stage.secure()
            for _ in range(3):
                await client.say(get())
                await client.hear_message()
            assert not node.is_asked


async def test_a_client_that_a_proxy_names_stays(tmp_path: Path) -> None:
    async with Proxied(tmp_path, hello, real_ip_from=[]) as stage:
        stage.put(("routes/r1", {"id": "r1", "uri": "/*", "upstream_id": "u1", "splice": "auto"}))
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            await client.say(header(1, WHO))
            for _ in range(3):
                await client.say(get())
                await client.hear_message()
            assert not node.is_asked


async def test_the_cookie_of_ours_counts_as_the_client_sent_it(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, **plugin("sticky")) as stage:
        key, value = sticky_keys(1)
        stage.put((key.removeprefix("/unilb/"), json.loads(value)), prefix="/unilb/")
        with FakeNode(stage.shared) as node:
            client = await stage.client()
            for _ in range(2):  # it has none, so each answer sets it
                await client.say(get())
                head, _ = await client.hear_message()
            assert not node.is_asked
            cookie = head.split(b"Set-Cookie: ")[1].split(b";")[0].decode()
            other = await stage.client()
            await other.say(get("/", f"Cookie: {cookie}"))
            await other.hear_message()
            await other.say(get("/", f"Cookie: {cookie}"))
            message = (await node.question()).message
            guard = message["guard"]
            assert guard["mask"] == ALWAYS | COOKIE and guard["hashes"][4] != "0"
            assert message["log"]["sticky"] == "valid"


async def decisions(stage: Stage, node: FakeNode) -> list[str]:
    """Of two connections of one client."""
    found = []
    for _ in range(2):
        client = await stage.client()
        await client.say(get())
        await client.hear_message()
        await client.say(get())
        found.append((await node.question()).message["guard"]["decision"])
    return found


@pytest.mark.parametrize(
    ("conditions", "is_shared"),
    [
        ([["arg_a", "~=", "1"]], True),
        ([["remote_addr", "==", "127.0.0.1"]], True),
        ([["remote_port", ">", 0]], False),
    ],
)
async def test_a_decision_that_looked_at_the_connection_is_that_connections_alone(
    tmp_path: Path, conditions: list[Any], is_shared: bool
) -> None:
    async with Stage(tmp_path, hello, **auto(vars=conditions)) as stage:
        with FakeNode(stage.shared) as node:
            one, other = await decisions(stage, node)
            assert (one == other) is is_shared


@pytest.mark.parametrize(
    ("balancing", "count"), [({}, 1), ({"type": "chash", "hash_on": "vars", "key": "uri"}, 2)], ids=["free", "hashed"]
)
async def test_a_decision_names_the_endpoint_only_where_the_request_has_a_say_in_it(
    tmp_path: Path, balancing: dict[str, Any], count: int
) -> None:
    async with Stage(tmp_path, hello, hello, **{**AUTO, **balancing}) as stage:
        with FakeNode(stage.shared) as node:
            found: dict[str, set[str]] = {}
            for number in range(12):
                if number % 3 == 0:  # the second requests of all would take the same turn
                    other = await stage.client()
                    await other.say(get())
                    await other.hear_message()
                client = await stage.client()
                await client.say(get(f"/{number}"))
                await client.hear_message()
                await client.say(get(f"/{number}"))
                question = await node.question()
                found.setdefault(question.message["endpoint"], set()).add(question.message["guard"]["decision"])
                node.refused(question, "state")
                await client.hear_message()
            assert len(found) == 2 and len(set.union(*found.values())) == count


@pytest.mark.parametrize(
    ("balancing", "holds"),
    [({}, True), ({"type": "chash", "hash_on": "vars", "key": "uri"}, False)],
    ids=["free", "hashed"],
)
async def test_what_a_decision_covers_outlives_a_change_of_the_upstream_where_paths_do_not_choose_the_endpoint(
    tmp_path: Path, balancing: dict[str, Any], holds: bool
) -> None:
    async with Stage(tmp_path, hello, **{**AUTO, **balancing}) as stage:
        with FakeNode(stage.shared) as node:
            found = []
            for edition in (1, 2):
                node.key(1, edition)
                found += await decisions(stage, node)
            assert found[0] == found[1] and found[2] == found[3]
            assert (found[0] == found[2]) is holds


async def gone(speaker: Speaker) -> None:
    await speaker.hear_message()


async def test_a_request_that_took_more_than_one_try_says_nothing_about_the_next(tmp_path: Path) -> None:
    options = {**AUTO, "settings": {**SETTINGS, "splice_after": 1}}
    async with Stage(tmp_path, gone, hello, **options) as stage:
        with FakeNode(stage.shared) as node:
            totals = stage.shared.counters.totals
            while not totals["retries"]:
                client = await stage.client()
                await client.say(get())
                if totals["retries"]:
                    break
                await stage.until(lambda: node.is_asked or totals["retries"] > 0)
                if node.is_asked and not totals["retries"]:
                    node.refused(await node.question(), "state")
            await client.hear_message()
            assert not node.is_asked
