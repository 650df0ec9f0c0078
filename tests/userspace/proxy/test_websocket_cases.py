"""Autobahn's own WebSocket cases, through a tunnel: every verdict as without one between.

kosoku runs Autobahn TestSuite's case files (the suite itself needs Python 2) against an echo server of our own.
"""

import asyncio
from pathlib import Path
from typing import Any

import kosoku
import pytest

from tests.userspace.proxy.stage import Stage
from tests.userspace.proxy.websocket_echo import Echo

LONG = ["9.*", "10.*", "12.*", "13.*", "7.9.*", "7.13.*"]  # up to 16 MiB, or a thousand messages: a few instead of all
SOME_LONG = ["9.1.5", "9.2.5", "9.3.7", "9.4.8", "9.5.5", "9.7.2", "9.8.2", "10.1.1", "12.1.3", "12.4.5", "13.3.2"]
ORIGINS_OWN = ["7.1.5"]  # websockets fails it with nothing between


async def verdicts(address: str) -> dict[str, tuple[str, str, bool]]:
    found: list[Any] = list(await run(address, None, LONG))
    found += await run(address, SOME_LONG, None)
    return {case.case_id: (case.behavior.value, case.behavior_close.value, case.passed) for case in found}


async def run(address: str, include: list[str] | None, exclude: list[str] | None) -> Any:
    try:
        return await asyncio.wait_for(kosoku.run_fuzzingclient(address, include, exclude, concurrency=8), 60)
    except kosoku.FailureError as failure:
        return failure.results


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kosoku leaves files to the collector
async def test_every_case_ends_as_it_does_without_a_gateway_and_none_fails(tmp_path: Path) -> None:
    async with await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0) as server:
        origin = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Stage(tmp_path, origin, route={"enable_websocket": True}) as stage:
            direct = await verdicts(origin)
            through = await verdicts(f"127.0.0.1:{stage.port}")
            await stage.until(lambda: stage.shared.tunnels == 0)
            assert stage.shared.counters.totals["tunnels"] == len(through) > 240
    assert through == direct
    assert [case for case, (_, _, passed) in through.items() if not passed] == ORIGINS_OWN
