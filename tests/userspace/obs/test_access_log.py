import os
import threading
from pathlib import Path

import orjson
import pytest

from userspace.obs import access_log
from userspace.obs.access_log import AccessLog


def lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_each_entry_is_one_json_line_in_order(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.write({"path": 'quote " newline \n done', "status": 200})
    log.start()
    log.write({"status": 404})
    log.close()
    assert lines(path) == [{"path": 'quote " newline \n done', "status": 200}, {"status": 404}]
    assert (log.lines, log.dropped) == (2, 0)


def test_a_full_chunk_is_written_without_waiting_for_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(path))
    log.start()
    log.write({"pad": "x" * access_log.CHUNK_BYTES})
    os.set_blocking(reader, True)
    assert os.read(reader, 8) == b'{"pad":"'
    os.close(reader)
    log.close()


def test_a_sink_that_blocks_costs_lines_and_not_time_or_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MAX_PENDING_BYTES", 300_000)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(path))
    log.start()
    entry = {"pad": "x" * 1000}
    for _ in range(2000):
        log.write(entry)
    assert log.lines + log.dropped == 2000
    assert log.lines * 1011 <= 300_000 + (64 << 10)  # what is pending, and the pipe's own buffer
    received = bytearray()

    def drain() -> None:
        os.set_blocking(reader, True)
        while block := os.read(reader, 1 << 16):
            received.extend(block)

    thread = threading.Thread(target=drain)
    thread.start()
    log.close()
    thread.join()
    os.close(reader)
    assert received.count(b"\n") == log.lines


def test_reopen_follows_the_path_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.start()
    log.write({"n": 1})
    log.flush()
    while not path.stat().st_size:
        threading.Event().wait(0.001)
    path.rename(tmp_path / "access.log.1")
    log.reopen()
    log.write({"n": 2})
    log.close()
    assert lines(tmp_path / "access.log.1") == [{"n": 1}] and lines(path) == [{"n": 2}]


def test_reopen_keeps_the_old_file_when_the_new_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = AccessLog(str(folder / "access.log"))
    log.start()
    (folder / "access.log").rename(tmp_path / "kept")
    folder.rmdir()
    log.reopen()
    log.write({"n": 1})
    log.close()
    assert lines(tmp_path / "kept") == [{"n": 1}]


def test_a_sink_that_refuses_writes_is_counted() -> None:
    log = AccessLog("/dev/full")
    log.start()
    log.write({"n": 1})
    log.close()
    assert log.dropped == 1


def test_off_writes_nothing_and_starts_no_thread() -> None:
    log = AccessLog("off")
    log.start()
    log.write({"n": 1})
    log.close()
    assert (log.enabled, log.lines, log.dropped) == (False, 0, 0)


def test_a_path_that_cannot_be_opened_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLog(str(tmp_path / "missing" / "access.log"))


def test_what_waits_for_the_sink_is_known(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "access.log"))
    log.write_line(b"one\n")
    assert log.pending_bytes == 4
    log.flush()
    assert log.pending_bytes == 4
    log.start()
    log.close()
    assert log.pending_bytes == 0
