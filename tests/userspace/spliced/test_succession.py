"""One reader at a time, and what the last one left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from userspace.spliced.succession import Succession

HOLDER = """
import signal, sys, time
from pathlib import Path
from userspace.spliced.succession import Succession

ended = []
signal.signal(signal.SIGTERM, signal.SIG_IGN if {deaf} else lambda *_: ended.append(1))
state = Succession(Path({path!r}))
state.take()
print("has it", flush=True)
while not ended:
    time.sleep(0.001)
state.leave([b"one", b"", b"three" * 1000])
"""


def holder(path: Path, deaf: bool = False) -> "subprocess.Popen[str]":
    code = HOLDER.format(path=str(path), deaf=deaf)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "has it\n"
    return process


def test_the_first_finds_nothing(tmp_path: Path) -> None:
    state = Succession(tmp_path / "run" / "lines")
    assert state.take() == []
    assert (tmp_path / "run" / "lines").stat().st_mode & 0o777 == 0o600


def test_who_holds_it_is_asked_to_end_and_leaves_what_it_has(tmp_path: Path) -> None:
    with holder(tmp_path / "lines") as before:
        assert Succession(tmp_path / "lines").take() == [b"one", b"", b"three" * 1000]
    assert before.returncode == 0


def test_what_was_left_is_taken_once(tmp_path: Path) -> None:
    first = Succession(tmp_path / "lines")
    first.take()
    first.leave([b"one"])
    second = Succession(tmp_path / "lines")
    assert second.take() == [b"one"]
    second.leave([])
    assert Succession(tmp_path / "lines").take() == []


def test_who_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("userspace.spliced.succession.ASKED_SECONDS", 0.05)
    with holder(tmp_path / "lines", deaf=True) as before:
        assert Succession(tmp_path / "lines").take() == []
    assert before.returncode == -signal.SIGKILL


def test_what_was_not_written_to_its_end_is_cut_off(tmp_path: Path) -> None:
    first = Succession(tmp_path / "lines")
    first.take()
    first.leave([b"one", b"second"])
    os.truncate(tmp_path / "lines", 4 + 3 + 4 + 2)
    assert Succession(tmp_path / "lines").take() == [b"one"]
