"""Ambiguous requests between the gateway and real servers: no pair disagrees on where a request ends."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.proxy.desync_backends import GARBAGE, aiohttp_server, h11_server, haproxy, nginx
from tests.userspace.proxy.desync_corpus import CORPUS
from tests.userspace.proxy.stage import Stage

AT_ONCE = 200
SETTINGS = {"header_timeout": 0.3, "body_timeout": 0.3}
TIMEOUT = {"connect": 5, "send": 5, "read": 5}
AFTER = b"GET /after/%05d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
ANSWER = re.compile(rb"path=([^;]*);")


def test_the_corpus_is_large_and_no_case_is_there_twice() -> None:
    assert len(CORPUS) >= 300
    assert len({data for _, data in CORPUS}) == len(CORPUS) == len({name for name, _ in CORPUS})


@pytest.mark.parametrize("backend", [nginx, haproxy, h11_server, aiohttp_server])
async def test_an_endpoint_sees_exactly_the_requests_that_the_gateway_sent(tmp_path: Path, backend: Any) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def converse(stage: Stage, number: int, data: bytes) -> bytes:
        async with gate:
            client = await stage.client()
            heard = b""
            try:
                await client.say(data + AFTER % number)
                while more := await asyncio.wait_for(client.reader.read(65536), 5):
                    heard += more
            except ConnectionError:
                pass
            return heard

    async with (
        backend(tmp_path) as (address, seen),
        Stage(tmp_path, address, settings=SETTINGS, timeout=TIMEOUT, retries=0) as stage,
    ):
        before = len(seen())
        heard = await asyncio.gather(*(converse(stage, n, data) for n, (_, data) in enumerate(CORPUS)))
        await stage.until(lambda: not stage.shared.connections)
        stage.shared.pools.close()
        sent = [line for line in stage.log_lines() if line.get("upstream_address")]
        targets = [re.sub("^https?://[^/]*", "", line["path"]) for line in sent]
        await asyncio.sleep(0.2)  # a wrong reading would show by now
        there = Counter(seen()[before:])

    assert there[GARBAGE] == 0
    assert set(there) == set(targets)
    tries = Counter(targets)
    for line, target in zip(sent, targets, strict=True):
        tries[target] += line["retries"]
    assert [target for target in there if there[target] > tries[target]] == []
    for number, answers in enumerate(heard):
        # The answers come in the order of the requests, and each is the answer to its own.
        numbers = [int(path[-5:]) for path in ANSWER.findall(answers) if path[-5:].isdigit()]
        assert set(numbers) <= {number}, CORPUS[number][0]
        order = [path.split(b"/")[1] for path in ANSWER.findall(answers) if path.count(b"/") == 2]
        assert order == [word for word in (b"case", b"hidden", b"after") if word in order], CORPUS[number][0]
    refused = sum(b" 400 " in answers[:40] for answers in heard)
    print(f"{len(CORPUS)} cases, {len(targets)} requests sent on, {refused} cases refused with 400")
