"""userspace/lab/cgroups.py: real groups with real processes in them."""

import os
import signal
import subprocess

import pytest

from userspace.lab import cgroups
from userspace.lab.lab import cgroup2

pytestmark = pytest.mark.netns


def test_the_end_of_a_tree_ends_its_processes_and_removes_it() -> None:
    root = cgroup2() / f"g{os.getpid()}-lab"
    inner = root / "gw1" / "made-by-the-machine"
    cgroups.make([inner])
    with subprocess.Popen(["sh", "-c", "trap '' TERM; read _; sleep 1000"], stdin=subprocess.PIPE) as child:
        (inner / "cgroup.procs").write_text(str(child.pid))
        cgroups.end(root)
        assert child.wait(5) == -signal.SIGKILL
    assert not root.exists()
    cgroups.end(root)
