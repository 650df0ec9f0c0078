"""From the ring to the log: what the node says in between, and what happens without it."""

import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.userspace.spliced.records import HEAD, record
from userspace import wire
from userspace.node.splice_abi import Flag, Kind, Splice, State
from userspace.obs.access_log import AccessLog
from userspace.spliced import process
from userspace.spliced.process import Writer
from userspace.spliced.requests import SILENT


class FakeRing:
    """A ring that the test writes."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.is_closed = False

    def read(self) -> Iterator[bytes]:
        while self.records:
            yield self.records.pop(0)

    def close(self) -> None:
        self.is_closed = True


class Scene:
    """A writer and the node at the other end of its wire. The clocks stand still unless `at` moves."""

    def __init__(self, folder: Path, *left: bytes) -> None:
        self.at = 1000.0
        self.file = folder / "access.log"
        self.ring, self.log = FakeRing(), AccessLog(str(self.file))
        self.node, theirs = socket.socketpair()
        self.node.setblocking(False)
        self.decoder = wire.Decoder()
        self.writer = Writer(self.ring, self.log, None, theirs, left)  # type: ignore[arg-type]
        self.log.start()

    def says(self, **message: Any) -> None:
        self.node.sendall(wire.encode(message))

    def hears(self) -> list[dict[str, Any]]:
        try:
            return self.decoder.feed(self.node.recv(1 << 16))
        except BlockingIOError:
            return []

    def turn(self, *records: bytes) -> bool:
        self.ring.records += records
        return self.writer.turn()

    def lines(self) -> list[dict[str, Any]]:
        """End it, and return what stands in the file."""
        self.left = self.writer.close()
        self.node.close()
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    found = Scene(tmp_path)
    monkeypatch.setattr("time.monotonic_ns", lambda: int(found.at * 1e9))
    return found


OWNERS = [[2, "r1", "u1", "10.9.0.3:80", None]]


def test_records_become_lines_with_the_names_that_the_node_told(scene: Scene) -> None:
    scene.says(type="owners", owners=OWNERS)
    assert not scene.turn(record(0), record(1, status=404), record(2, b""))
    assert [(line["route"], line["status"], line["path"]) for line in scene.lines()] == [
        ("r1", 404, "/a?x=1"),
        ("r1", 200, "/a?x=1"),
    ]
    assert scene.ring.is_closed and not scene.left


def test_what_is_not_finished_is_left_to_the_next_one(scene: Scene, tmp_path: Path) -> None:
    scene.turn(record(0), record(1))
    assert len(scene.lines()) == 1
    after = Scene(tmp_path, *scene.left)
    after.turn(record(2, status=201))
    assert [line["status"] for line in after.lines()] == [200, 201]


def test_the_node_is_asked_about_silent_ones_and_its_word_counts_behind_the_ring(scene: Scene) -> None:
    scene.turn(record(0, id=3), record(0, id=4))
    scene.hears()
    scene.at += SILENT
    scene.turn()
    assert {"type": "silent", "ids": [3, 4]} in scene.hears()
    gone = Splice(generation=41, state=State.FREE, requests=1, status=204)
    scene.says(type="splices", splices=[[id, b64encode(bytes(gone)).decode(), ""] for id in (3, 4)])
    # What the ring has by now is older than the node's look: the first has gone on meanwhile.
    scene.turn(record(1, id=3, status=201))
    scene.turn()
    assert [line["status"] for line in scene.lines()] == [201, 204]


def test_what_has_come_of_an_answer_says_whether_it_is_over(scene: Scene) -> None:
    scene.turn(record(0, id=3), record(0, id=4))
    pauses = Splice(generation=41, state=State.ACTIVE, requests=1, status=200, kind=Kind.GUARDED)
    told = (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pauses.acked[0] = pauses.end[1] = pauses.said_len = pauses.bytes[1] = len(told[0])
    raw = b64encode(bytes(pauses)).decode()
    splices = [[id, raw, b64encode(said).decode()] for id, said in zip((3, 4), told, strict=True)]
    scene.says(type="splices", splices=splices)
    scene.turn()
    assert (len(scene.lines()), len(scene.left)) == (1, 1)


def ended(id: int, kind: Kind, why: str, **fields: int) -> dict[str, Any]:
    splice = Splice(generation=41, state=State.ACTIVE, kind=kind, logged=1, account=2, **fields)
    splice.bytes[0], splice.bytes[1] = 70, 900
    raw = b64encode(bytes(splice)).decode()
    return {"type": "ended", "id": id, "splice": raw, "why": why, "at_ns": 12 * 10**9}


def test_what_the_node_has_ended_has_a_line_behind_what_the_ring_says(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "AT_ONCE", 2)
    scene.says(type="owners", owners=OWNERS)
    scene.says(**ended(3, Kind.GUARDED, "idle", requests=3, flags=Flag.AWAITS, request_ns=9 * 10**9))
    scene.says(**ended(4, Kind.OPAQUE, "age", created_ns=11 * 10**9))
    assert scene.turn(*(record(n) for n in range(3)))  # two of them
    assert not scene.turn()
    scene.turn()
    fields = ("route", "status", "error", "error_source", "request_ms", "stream_ms", "bytes_in", "bytes_out")
    assert [tuple(line.get(field) for field in fields) for line in scene.lines()] == [
        ("r1", 200, None, None, 2.5, None, len(HEAD), 300),
        ("r1", 200, None, None, 2.5, None, len(HEAD), 300),
        ("r1", 504, "idle", "internal", 3000, None, 0, 0),
        ("r1", None, "age", "internal", None, 1000, 70, 900),
    ]
    assert not scene.left


def test_what_the_node_ends_as_it_goes_has_its_line(scene: Scene) -> None:
    scene.turn()
    scene.says(**ended(4, Kind.OPAQUE, "node"))
    assert [line["error"] for line in scene.lines()] == ["node"]


def test_lines_and_losses_are_told_now_and_then(scene: Scene) -> None:
    scene.turn()
    assert {"type": "counted", "lines": 0, "dropped": 0} in scene.hears()
    scene.turn(record(0), record(1), record(5))
    assert {"type": "counted", "lines": 1, "dropped": 4} not in scene.hears()
    scene.at += process.REPORT_EVERY
    scene.turn()
    assert {"type": "counted", "lines": 1, "dropped": 4} in scene.hears()
    scene.lines()


def test_a_line_that_cannot_be_made_costs_itself(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.turn(record(0, logged=9), record(1), record(2, b""))
    scene.at += process.REPORT_EVERY
    scene.turn()
    assert {"type": "counted", "lines": 1, "dropped": 1} in scene.hears()
    assert "IndexError" in capsys.readouterr().err
    assert len(scene.lines()) == 1


def test_without_the_node_it_reads_on(scene: Scene) -> None:
    scene.node.close()
    scene.turn(record(0))
    scene.at += 2 * SILENT
    scene.turn(record(1))
    scene.writer.wait(0)
    assert len(scene.lines()) == 1


def test_no_more_is_read_than_the_log_has_room_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "ROOM_BYTES", 0)
    scene.turn(record(0))
    assert len(scene.ring.records) == 1
    monkeypatch.setattr(process, "ROOM_BYTES", 1)
    scene.turn()
    assert not scene.ring.records
    scene.lines()


def test_a_turn_ends_before_the_ring_does(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "AT_ONCE", 2)
    assert scene.turn(*(record(n) for n in range(5)))
    assert len(scene.ring.records) == 3
    assert scene.turn() and not scene.turn()
    assert len(scene.lines()) == 4


class Signalled:
    """A writer whose turns are interrupted, one after the other; and its log."""

    def __init__(self, *signals: int) -> None:
        self.signals = list(signals)
        self.did: list[str] = []
        self.is_alone = False

    def turn(self) -> bool:
        self.did.append("turn")
        os.kill(os.getpid(), self.signals.pop(0))
        return bool(self.signals)

    def wait(self, seconds: float) -> None:
        self.did.append("wait")

    def close(self) -> list[bytes]:
        self.did.append("close")
        return [b"left"]

    def start(self) -> None:
        self.did.append("start")

    def reopen(self) -> None:
        self.did.append("reopen")


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    """Where a ring would be pinned."""
    path = tmp_path / "splice_requests"
    path.touch()
    return path


def did(pin: Path, scene: Signalled, is_detached: bool) -> tuple[list[str], list[bytes]]:
    """Return what it does until it ends, and what it leaves."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    fd = os.open(pin, os.O_PATH)
    if is_detached:
        pin.unlink()
    try:
        left = process.run(scene, scene, fd)  # type: ignore[arg-type]
    finally:
        os.close(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
    return scene.did, left


@pytest.mark.parametrize(("is_detached", "is_alone"), [(False, False), (False, True), (True, False)])
def test_signals_open_the_log_anew_and_end_it(pin: Path, is_detached: bool, is_alone: bool) -> None:
    scene = Signalled(signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    scene.is_alone = is_alone
    found = did(pin, scene, is_detached)
    assert found == (["start", "turn", "reopen", "turn", "turn", "wait", "close"], [b"left"])


def test_without_node_and_datapath_it_ends_when_the_ring_is_empty(pin: Path) -> None:
    scene = Signalled(signal.SIGINT, signal.SIGINT)
    scene.is_alone = True
    assert did(pin, scene, True) == (["start", "turn", "turn", "close"], [b"left"])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--settings", '{"access_log": ""}'], "access_log"),
        (["--user", "nobody-of-that-name"], "nobody-of-that-name"),
        (["--ring", "/nowhere/splice_requests"], "No such file"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, arguments: list[str], why: str) -> None:
    ours, theirs = socket.socketpair()
    given = ["--wire-fd", str(theirs.fileno()), "--ring", "/nowhere", "--state", str(tmp_path / "state"), *arguments]
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-m", "userspace.spliced.process", *given],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
        )
    assert (done.returncode, why in done.stderr, HEAD.decode() in done.stderr) == (2, True, False)
