"""Workers that a dead node left behind are asked to go, and nobody else is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from userspace.node.predecessors import Predecessors, start_time


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=-1)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_worker_written_down_before_is_asked_to_drain(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    predecessors = Predecessors(tmp_path / "run" / "gw1.workers")
    assert predecessors.replace([sleeper.pid]) == []
    assert predecessors.replace([os.getpid()]) == [sleeper.pid]
    assert sleeper.wait(5) == -signal.SIGTERM


def test_our_own_workers_are_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    predecessors = Predecessors(tmp_path / "gw1.workers")
    predecessors.replace([sleeper.pid])
    assert predecessors.replace([sleeper.pid, os.getpid()]) == []
    assert sleeper.poll() is None


def test_a_process_that_only_has_the_pid_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    file = tmp_path / "gw1.workers"
    file.write_text(f"[[{sleeper.pid}, {(start_time(sleeper.pid) or 0) - 1}]]")
    assert Predecessors(file).replace([]) == []
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", ["", "{", "[[1]]", "null?"])
def test_an_unreadable_file_is_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "gw1.workers"
    file.write_text(content)
    assert Predecessors(file).replace([os.getpid()]) == []
    assert str(os.getpid()) in file.read_text()


def test_forgetting_removes_the_file(tmp_path: Path) -> None:
    predecessors = Predecessors(tmp_path / "gw1.workers")
    predecessors.replace([])
    predecessors.forget()
    predecessors.forget()
    assert not predecessors.file.exists()


def test_start_time_of_nobody() -> None:
    assert start_time(2**22 + 1) is None


def test_a_worker_noted_at_its_start_is_found_by_the_next_node(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    predecessors = Predecessors(tmp_path / "gw1.workers")
    predecessors.note(os.getpid())
    predecessors.note(sleeper.pid)
    assert predecessors.replace([os.getpid()]) == [sleeper.pid]
    assert sleeper.wait(5) == -signal.SIGTERM
