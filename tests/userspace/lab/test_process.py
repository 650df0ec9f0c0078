"""userspace/lab/process.py: real processes, recorded and ended."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from userspace.lab import process
from userspace.lab.process import Process

# Says on its output that it can be signalled, then waits for ever.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Process]]:
    found: list[Process] = []
    yield found
    process.stop(found, 0)


def start(tmp_path: Path, argv: list[str]) -> Process:
    return process.start("gw1", "sleeper", argv, tmp_path / "log", tmp_path / "pids")


def wait_for_output(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_record_finds_its_process_again(tmp_path: Path, started: list[Process]) -> None:
    started.append(start(tmp_path, ["/bin/sleep", "1000"]))
    assert process.recorded(tmp_path / "pids") == started
    assert started[0].alive
    assert os.getsid(started[0].pid) == started[0].pid


def test_a_stopped_process_has_ended(tmp_path: Path, started: list[Process]) -> None:
    started.append(start(tmp_path, ["/bin/sleep", "1000"]))
    process.stop(started, 5)
    assert not started[0].alive
    with pytest.raises(ProcessLookupError):
        os.kill(started[0].pid, 0)


def test_a_process_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path, started: list[Process]) -> None:
    started.append(start(tmp_path, [sys.executable, "-c", STUBBORN]))
    wait_for_output(tmp_path / "log", "deaf")
    began = time.monotonic()
    process.stop(started, 0.2)
    assert time.monotonic() - began >= 0.2
    assert not started[0].alive


def test_somebody_elses_process_with_the_recorded_pid_is_left_alone(tmp_path: Path, started: list[Process]) -> None:
    started.append(start(tmp_path, ["/bin/sleep", "1000"]))
    earlier = replace(started[0], started=started[0].started - 1)
    assert not earlier.alive
    process.stop([earlier], 0)
    assert started[0].alive


def test_an_ended_child_that_nobody_waited_for_is_not_alive(tmp_path: Path, started: list[Process]) -> None:
    started.append(start(tmp_path, ["/bin/sleep", "1000"]))
    os.kill(started[0].pid, signal.SIGKILL)
    os.waitid(os.P_PID, started[0].pid, os.WEXITED | os.WNOWAIT)
    assert not started[0].alive


def test_children_of_a_killed_leader_are_found_by_their_session(tmp_path: Path, started: list[Process]) -> None:
    leader = start(tmp_path, ["/bin/sh", "-c", "sleep 1000 & echo $! ; wait"])
    started.append(leader)
    wait_for_output(tmp_path / "log", "\n")
    child = (tmp_path / "log").read_text().strip()
    (tmp_path / "procs").write_text(f"{os.getpid()}\n{child}\n")
    process.stop([leader], 0)
    left = process.session(leader, tmp_path / "procs")
    assert [str(p.pid) for p in left] == [child]
    process.stop(left, 5)
    assert process.session(leader, tmp_path / "procs") == []


def test_a_broken_record_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "gw1.node.json").write_text('{"pid": 1')
    (tmp_path / "gw2.node.json").write_text('{"pid": 1}')
    assert process.recorded(tmp_path) == []
