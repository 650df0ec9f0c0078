"""Mixed load with a configuration change every second, for a while: `make bench ONLY=soak` in short."""

from pathlib import Path

import pytest

from tests.bench.peers import KEY
from tests.bench.soak import soak
from tests.said import SAID
from tests.userspace.test_run import data_dir, ports, running

__all__ = ["data_dir", "ports"]  # fixtures

SECONDS = 60
MEBIBYTE = 1 << 20


@pytest.mark.alone
async def test_nothing_fails_and_nothing_grows_under_mixed_load_and_changes(data_dir: Path, ports: list[int]) -> None:
    with running(data_dir, ports, "--admin-key", KEY, "--control-listen", "off") as (process, _):
        outcome = await soak(process.pid, ports[0], ports[1], SECONDS)
    SAID.append(f"mixed load of {SECONDS} s: {outcome.outcomes} {outcome.growth} {outcome.descriptors}")
    assert outcome.failed == 0, outcome.outcomes
    assert outcome.changes >= SECONDS / 2 and outcome.outcomes["200"] > 1000 and outcome.outcomes["echo"] > 100
    quarter = len(outcome.memory) // 4
    assert max(outcome.memory[-quarter:]) < max(outcome.memory[quarter : 2 * quarter]) + 3 * MEBIBYTE
    assert outcome.descriptors[1] <= outcome.descriptors[0] + 2
