"""What the checker is told of exchanges, and what workers do with its word."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from control.model.health import TCP_FAILURE, TIMED_OUT
from tests.userspace.proxy.process import WorkerProcess
from tests.userspace.proxy.stage import Endpoint, Script, Speaker, Stage, get, hello
from tests.userspace.proxy.test_upstream import QUICK, status_of, unused_address
from userspace.proxy.observations import Observations

CHECKS = {"active": {}, "passive": {"unhealthy": {"http_statuses": [500, 502]}}}


def answers(status: int) -> Script:
    async def script(speaker: Speaker) -> None:
        while True:
            await speaker.hear_message()
            await speaker.say(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    return script


async def resets(speaker: Speaker) -> None:
    await speaker.hear_message()
    speaker.reset()


async def hangs(speaker: Speaker) -> None:
    await speaker.hear_message()
    await asyncio.sleep(60)


async def told(stage: Stage, *requests: bytes) -> list[tuple[str, list[list[int]]]]:
    """The outcomes that the checker is told after these requests: (endpoint, runs)."""
    rows: list[Any] = []

    def send(message: Mapping[str, Any]) -> bool:
        rows.extend(message["seen"])
        return True

    observations = stage.shared.observations = Observations(stage.shared.loop, send)
    for request in requests:
        await status_of(stage, request)
    observations.flush()
    assert {row[0] for row in rows} <= {"u1"}
    return [(row[1], row[2]) for row in rows]


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        (answers(200), [[200, 2]]),
        (answers(500), [[500, 2]]),
        (answers(404), [[404, 2]]),
        (resets, [[TCP_FAILURE, 1], [502, 1]]),
        (hangs, [[TIMED_OUT, 1]]),
    ],
)
async def test_each_outcome_is_told(tmp_path: Path, script: Script, runs: list[list[int]]) -> None:
    async with Stage(tmp_path, script, checks=CHECKS, timeout=QUICK) as stage:
        found = await told(stage, get(), get()) if script not in (resets, hangs) else await told(stage, get())
        flat = [run for _, each in found for run in each]
        assert sum(times for _, times in flat) == sum(times for _, times in runs)
        assert [code for code, _ in flat] == [code for code, times in runs for _ in range(len(flat) // len(runs))]


async def test_every_try_is_told_of_its_own_endpoint(tmp_path: Path) -> None:
    dead = unused_address()
    async with Stage(tmp_path, dead, hello, checks=CHECKS) as stage:
        found = await told(stage, get(), get())
        good = stage.addresses[1]
    assert (dead, [[TCP_FAILURE, 1]]) in found
    assert sum(times for address, runs in found if address == good for _, times in runs) == 2


async def test_our_own_refusal_counts_against_the_endpoint_that_caused_it(tmp_path: Path) -> None:
    dead = unused_address()
    async with Stage(tmp_path, dead, checks=CHECKS) as stage:
        found = await told(stage, get())
    assert [run for _, runs in found for run in runs] == [[TCP_FAILURE, 1], [502, 1]]


async def test_a_stale_connection_says_nothing(tmp_path: Path) -> None:
    async def once(speaker: Speaker) -> None:
        await speaker.hear_message()
        await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await speaker.hear_message()  # closes on the second one

    async with Stage(tmp_path, once, checks=CHECKS) as stage:
        found = await told(stage, get(), get())
    assert {code for _, runs in found for code, _ in runs} == {200}


async def test_without_passive_checks_nothing_is_told(tmp_path: Path) -> None:
    async with Stage(tmp_path, answers(500), checks={"active": {}}) as stage:
        assert await told(stage, get()) == []


async def test_an_endpoint_that_is_down_gets_no_request(tmp_path: Path) -> None:
    async with Stage(tmp_path, hello, hello) as stage:
        live = stage.router.live
        live.set_down({"u1": [stage.addresses[0]]})
        stage.router.refresh(["u1"])
        for _ in range(4):
            assert await status_of(stage, get()) == 200
        assert {line["endpoint"] for line in stage.log_lines()} == {stage.addresses[1]}


async def test_a_sticky_client_of_an_endpoint_that_is_down_is_sent_to_another(tmp_path: Path) -> None:
    keys = {"current": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    async with Stage(tmp_path, hello, hello, route={"plugins": {"sticky": {}}}) as stage:
        stage.put(("sticky", keys), prefix="/unilb/keys/")
        client = await stage.client()
        await client.say(get())
        head, _ = await client.hear_message()
        cookie = head.split(b"Set-Cookie: ")[1].split(b";")[0].decode()
        stage.router.live.set_down({"u1": [stage.addresses[0]]})
        stage.router.refresh(["u1"])
        for _ in range(4):
            await client.say(get("/", f"Cookie: {cookie}"))
            assert b" 200 " in (await client.hear_message())[0]
        first, *others = [line["endpoint"] for line in stage.log_lines()]
        assert first == stage.addresses[0] and set(others) == {stage.addresses[1]}


async def test_a_worker_takes_the_checker_s_word_and_tells_what_it_saw(tmp_path: Path) -> None:
    second = Endpoint(answers(500))
    other = await second.open()
    async with WorkerProcess(tmp_path, hello) as worker:
        nodes = {worker.address: 1, other: 1}
        upstream = {"id": "u1", "type": "roundrobin", "nodes": nodes, "checks": CHECKS}
        objects = [
            ["/apisix/upstreams/u1", json.dumps(upstream)],
            ["/apisix/routes/r1", json.dumps({"id": "r1", "uri": "/*", "upstream_id": "u1"})],
        ]
        await worker.tell({"type": "down", "upstreams": {"u1": [worker.address]}})
        await worker.tell({"type": "snapshot", "revision": 1, "objects": objects})
        await worker.next("applied")
        client = await worker.client()
        for _ in range(3):
            await client.say(get())
            assert b" 500 " in (await client.hear_message())[0]
        assert (await worker.next("passive"))["seen"][0][:3] == ["u1", other, [[500, 1]]]
        await worker.tell({"type": "down", "upstreams": {"u1": [other]}})
        async with asyncio.timeout(10):
            while True:
                await client.say(get())
                if b" 200 " in (await client.hear_message())[0]:
                    break
        await worker.tell({"type": "down", "upstreams": {"u1": []}})
    await second.close()
