"""userspace/lab/cli.py: the command as people type it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.cli import main
from userspace.lab.down import down
from userspace.lab.topology import Topology

NAME = f"c{os.getpid()}"


def lab(*words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "userspace.cli", "lab", words[0], "--name", NAME, *words[1:]]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60)


@pytest.fixture
def cleaned(region: Topology) -> Iterator[None]:
    yield
    down(NAME, region)


@pytest.mark.netns
def test_up_exec_status_down(cleaned: None) -> None:
    assert lab("up", "--only", "fabric").stdout == f"lab {NAME} is up: 16 machines; state in /run/{NAME}-lab\n"
    done = lab("exec", "gw1", "--", "sh", "-c", 'cat; hostname -I; exit "$1"', "--", "5", stdin="read\n")
    assert (done.returncode, done.stdout.split()) == (5, ["read", "10.1.0.11"])
    # options of the command need no -- before them
    assert lab("exec", "gw1", "ip", "-brief", "link", "show", "eth0").stdout.startswith("eth0")
    told = lab("status")
    assert told.returncode == 1
    assert "not running" in told.stdout
    assert lab("down").returncode == 0
    assert "no namespace" in lab("status").stdout
    assert lab("down").returncode == 0


def test_a_fault_is_told_in_one_line_and_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("machines: 3")
    assert main(["lab", "up", "--topology", str(tmp_path / "t.yaml")]) == 1
    assert main(["lab", "exec", "--name", NAME, "gw9", "true"]) == 1
    assert main(["lab", "exec", "--name", NAME, "gw1"]) == 1
    assert main(["lab", "role", "--name", NAME, "gw9"]) == 1
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "unilb lab: machines: must be a mapping",
        "unilb lab: no machine 'gw9' in the topology",
        "unilb lab: exec: which command?",
        "unilb lab: no machine 'gw9' in the topology",
    ]


def test_up_without_root_says_so() -> None:
    unprivileged = (
        f"import os; os.setuid(65534); from userspace.cli import main; raise SystemExit(main({['lab', 'up']}))"
    )
    done = subprocess.run([sys.executable, "-c", unprivileged], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "unilb lab: the lab makes network namespaces and mounts: run it as root\n"
