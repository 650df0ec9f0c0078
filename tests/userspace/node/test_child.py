"""A child process: a small program of the test's own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from userspace.node import child as module
from userspace.node.child import Child, reason
from userspace.wire import Message

ECHO = """
import argparse, socket
parser = argparse.ArgumentParser()
parser.add_argument("--wire-fd", type=int)
parser.add_argument("--mood", default="")
arguments = parser.parse_args()
wire = socket.socket(fileno=arguments.wire_fd)
if arguments.mood == "mad":
    wire.sendall(b"\\0\\0\\0\\2no")
while arguments.mood != "deaf":
    data = wire.recv(65536)
    if not data:
        break
    wire.sendall(data)
while arguments.mood == "deaf":
    wire.getpeername()
    import time; time.sleep(0.01)
"""


class Parent:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, mood: str = "") -> None:
        (folder / "echo_of_test.py").write_text(ECHO)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(module, "RESTART_FIRST", 0.001)
        self.started = self.ended = 0
        self.heard: list[Message] = []
        arguments = ["--mood", mood] if mood else []
        self.child = Child("echo", "echo_of_test", arguments, self._start, self.heard.append, self._end)
        self.task = asyncio.ensure_future(self.child.keep())

    def _start(self) -> None:
        self.started += 1
        self.child.send({"type": "hello", "n": self.started})

    def _end(self) -> None:
        self.ended += 1

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        await self.child.stop()
        await self.task


async def test_it_is_fed_when_it_starts_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(tmp_path, monkeypatch)
    await parent.until(lambda: parent.heard)
    assert parent.heard == [{"type": "hello", "n": 1}]
    await parent.stop()
    assert parent.ended == 1 and parent.child.restarts == 0


async def test_one_that_dies_is_replaced_and_fed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(tmp_path, monkeypatch)
    await parent.until(lambda: parent.heard)
    assert parent.child.pid is not None
    os.kill(parent.child.pid, signal.SIGKILL)
    await parent.until(lambda: len(parent.heard) == 2)
    assert parent.child.restarts == 1 and parent.ended == 1
    await parent.stop()


async def test_one_that_talks_nonsense_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(tmp_path, monkeypatch, "mad")
    await parent.until(lambda: parent.started == 2)
    await parent.stop()


async def test_one_that_does_not_read_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_BYTES", 1000)
    parent = Parent(tmp_path, monkeypatch, "deaf")
    await parent.until(lambda: parent.started)
    parent.child.send({"type": "much", "of": "x" * 10_000_000})
    await parent.until(lambda: parent.started == 2)
    await parent.stop()


async def test_without_a_process_nothing_is_sent_and_nothing_to_stop() -> None:
    child = Child("none", "none", [], lambda: None, lambda message: None, lambda: None)
    child.send({"type": "hello"})
    await child.stop()


@pytest.mark.parametrize(("code", "words"), [(-9, "SIGKILL"), (2, "exit code 2")])
def test_an_exit_has_its_reason(code: int, words: str) -> None:
    assert reason(code) == words and sys.executable
