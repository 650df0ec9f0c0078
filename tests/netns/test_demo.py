"""`make run ONCE=1`: what somebody sees who has just cloned this, twice in a row, and after everything was killed."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.lab import process, services
from userspace.lab.apply import existing_namespaces
from userspace.lab.down import down
from userspace.lab.lab import Lab, cgroup2
from userspace.lab.topology import Topology
from userspace.lab.up import up

pytestmark = [pytest.mark.netns, pytest.mark.timeout(240)]
NAME = "demo"
PATHS = ("classic", "VPC blue", "VPC green", "VPC six")


@pytest.fixture
def nothing_there(region: Topology) -> Iterator[None]:
    down(NAME, region)
    yield
    down(NAME, region)


def demonstrate() -> str:
    """Run the command of `make run ONCE=1`, beside other labs; return what it printed."""
    done = subprocess.run(
        [services.unilb(), "lab", "demo", "--once", "--name", NAME], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shows_every_path(shown: str) -> bool:
    lines = [re.split(r"\s{2,}", line) for line in shown.splitlines()]
    paths = {line[0]: line for line in lines if line[0] in PATHS}
    assert tuple(paths) == PATHS
    assert {line[-1] for line in paths.values()} == {"ok"}
    assert [line[1] for line in paths.values()] == ["web1 web2", "blue1 blue2", "green1 green2", "six1 six2"]
    assert {line[2] for line in paths.values()} == {"203.0.113.9"}
    assert [line[4] for line in paths.values()] == ["-", "10010", "10020", "10030"]
    assert "on all 4 workers" in shown
    return True


def left_behind() -> list[str]:
    """Whatever of the lab can still be seen."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{NAME}-" in line]
    names = [name for name in existing_namespaces() if name.startswith(f"{NAME}-")]
    paths = [Path("/run", f"{NAME}-lab"), cgroup2() / f"{NAME}-lab"]
    return mounts + names + [str(path) for path in paths if path.exists()]


def test_the_demo_shows_every_path_twice_in_a_row_and_leaves_nothing(nothing_there: None) -> None:
    for _ in range(2):
        assert shows_every_path(demonstrate())
        assert left_behind() == []


def test_the_demo_works_after_every_process_of_a_lab_was_killed(nothing_there: None, region: Topology) -> None:
    lab = Lab(region, NAME)
    up(lab)
    killed = process.recorded(lab.state / "pids")
    assert {record.service for record in killed} == {"etcd", "nginx", "control", "node"}
    for record in killed:
        assert record.alive
        os.kill(record.pid, signal.SIGKILL)
    assert shows_every_path(demonstrate())
    assert left_behind() == []
