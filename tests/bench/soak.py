"""Mixed load through one worker with a configuration change every second: no 5xx, memory and descriptors flat.

`make bench ONLY=soak` takes half an hour; SOAK_SECONDS says otherwise. tests/userspace/test_soak.py runs it for less.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from tests.bench.mixed import Load, Origin, kept, large, posting, single, tunnel
from tests.bench.peers import ADMIN, KEY, METRICS, UNILB, admin, family, started
from tests.bench.report import publish

SECONDS = 1800
KINDS = (kept, kept, kept, single, single, large, posting, posting, tunnel, tunnel)
IDLE_SECONDS = 1.0  # of the upstream's pool: what is left of descriptors then is what leaked


@dataclass
class Outcome:
    """`memory`: resident bytes of the worker, each second. `descriptors`: before the load, and after it."""

    outcomes: Counter[str]
    memory: list[int]
    descriptors: tuple[int, int]
    changes: int

    @property
    def failed(self) -> int:
        """Answers and connections that were not as they should be."""
        return sum(count for word, count in self.outcomes.items() if word not in ("200", "101", "echo"))

    @property
    def growth(self) -> float:
        """Mean memory of the last quarter divided by that of the second one: the first one is for warming up."""
        quarter = len(self.memory) // 4
        return mean(self.memory[-quarter:]) / mean(self.memory[quarter : 2 * quarter])


def worker_of(pid: int) -> int:
    """The process that serves requests."""
    return next(each for each in family(pid) if b"proxy.worker" in Path(f"/proc/{each}/cmdline").read_bytes())


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def change(turn: int, origins: list[Origin], port: int) -> None:
    """Change something that requests depend on: endpoints come and go, routes and services do, time-outs differ."""
    used = origins if turn % 2 else origins[: len(origins) - 1]
    upstream: dict[str, Any] = {
        "type": ("roundrobin", "least_conn")[turn // 4 % 2],
        "nodes": {f"127.0.0.1:{origin.port}": 1 + turn % 3 for origin in used},
        "keepalive_pool": {"size": 64, "idle_timeout": IDLE_SECONDS, "requests": 500},
    }
    admin("upstreams", "soak", upstream, port)
    admin("services", "soak", {"upstream_id": "soak", "enable_websocket": True}, port)
    timeout = {"connect": 5, "send": 5, "read": 5 + turn}
    admin("routes", "soak", {"uri": "/*", "service_id": "soak", "timeout": timeout}, port)
    other = {"uri": f"/other{turn}/*", "host": f"h{turn}.example", "upstream_id": "soak"}
    admin("routes", f"other{turn % 7}", other, port)


async def soak(pid: int, port: int, admin_port: int, seconds: float) -> Outcome:
    """Load a gateway that runs; `pid` is its first process."""
    origins = [Origin() for _ in range(3)]
    for origin in origins:
        await origin.open()
    await asyncio.to_thread(change, 0, origins, admin_port)
    await asyncio.sleep(1)
    worker = worker_of(pid)
    before = descriptors(worker)
    load = Load(port)
    load.start(*KINDS)
    memory = []
    turn = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        turn += 1
        await asyncio.to_thread(change, turn, origins, admin_port)
        await asyncio.sleep(1)
        memory.append(resident(worker))
    await load.stop()
    await asyncio.sleep(2 * IDLE_SECONDS + 1)
    after = descriptors(worker)
    for origin in origins:
        await origin.close()
    return Outcome(load.outcomes, memory, (before, after), turn)


def run() -> None:
    seconds = float(os.environ.get("SOAK_SECONDS", SECONDS))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        argv = [str(Path(sys.prefix, "bin", "unilb")), "run", "--data-dir", str(folder / "unilb"), "--admin-key", KEY]
        argv += ["--listen", f"127.0.0.1:{UNILB}", "--admin-listen", f"127.0.0.1:{ADMIN}", "--access-log", "off"]
        argv += ["--metrics", f"127.0.0.1:{METRICS}", "--control-listen", "off"]
        with started(argv, UNILB, folder) as process:
            outcome = asyncio.run(soak(process.pid, UNILB, ADMIN, seconds))
    print(json.dumps(dict(outcome.outcomes)))
    metrics = {
        "answers": ([float(outcome.outcomes["200"])], ""),
        "failed": ([float(outcome.failed)], ""),
        "changes": ([float(outcome.changes)], ""),
        "memory": ([size / (1 << 20) for size in outcome.memory], "MiB"),
        "memory, last quarter/second": ([outcome.growth], ""),
        "descriptors left": ([float(outcome.descriptors[1] - outcome.descriptors[0])], ""),
    }
    publish("soak", 1, {"unilb-worker": metrics})
