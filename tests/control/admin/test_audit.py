"""The audit log: a line for each change, none for anything else, bounded in all directions."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from control.admin.audit import MAX_FIELDS, MAX_NAME, AuditLog, changed_fields
from control.store.open import open_store
from tests.control.admin.conftest import KEY, VIEWER, Client, running

ROUTE = {"uri": "/a", "plugins": {}}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_change_is_a_line_and_nothing_else_is(tmp_path: Path, audit_log: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    async with running(store, audit_log) as api:
        created = await api.put("routes/1", ROUTE)
        patched = await api.patch("routes/1", {"desc": "x"})
        posted = await api.post("routes", ROUTE)
        deleted = await api.delete("routes/1")
        await api.get("routes/1")
        await api.put("routes/1", {})
        await api.delete("routes/1")
        await api.ask("PUT", "routes/1", ROUTE, key=VIEWER)
    await store.close()
    revisions = [int(answer.headers["X-Unilb-Revision"]) for answer in (created, patched, posted, deleted)]
    key = "/apisix/routes/1"
    assert [{**line, "time": 0} for line in lines(audit_log)] == [
        {
            **{"time": 0, "who": "admin", "what": what, "key": k, "from_revision": before, "to_revision": after},
            **{"client": "127.0.0.1", "changed": changed},
        }
        for what, k, before, after, changed in (
            ("PUT", key, 0, revisions[0], ["id", "uri"]),
            ("PATCH", key, revisions[0], revisions[1], ["desc"]),
            ("POST", posted.json["key"], 0, revisions[2], ["id", "uri"]),
            ("DELETE", key, revisions[1], revisions[3], []),
        )
    ]


def test_a_file_that_grows_is_moved_aside_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with AuditLog(str(path), max_file_bytes=1000) as log:
        for n in range(100):
            log.write("admin", "PUT", f"/k/{n}", 0, n)
    assert path.stat().st_size <= 1000 and Path(f"{path}.1").stat().st_size <= 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit.log", "audit.log.1"]
    assert lines(path)[-1]["to_revision"] == 99


def test_lines_that_nobody_takes_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.admin.audit.MAX_WAITING", 5)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(str(fifo))
    for n in range(3000):
        log.write("admin", "PUT", "/k/" + "x" * 100, 0, n)
    assert log.dropped > 1000
    dropped = log.dropped
    os.set_blocking(reader, True)
    text = b""
    while b'{"dropped":' not in text:
        text += os.read(reader, 1 << 16)
        log.write("admin", "PUT", "/k/after", 0, 0)
    assert b'{"dropped":%d' % dropped in text or log.dropped >= dropped
    os.set_blocking(reader, False)
    drain(reader)
    log.close()
    os.close(reader)


def drain(reader: int) -> None:
    while True:
        try:
            if not os.read(reader, 1 << 16):
                return
        except BlockingIOError:
            return


def test_without_a_file_it_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with AuditLog() as log:
        log.write("admin", "DELETE", "/apisix/routes/1", 5, 6)
    assert json.loads(capfd.readouterr().err)["key"] == "/apisix/routes/1"


def test_a_full_disk_loses_lines_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog("/dev/full")
    log.write("admin", "PUT", "/k", 0, 1)
    log.close()
    assert log.dropped == 1


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({}, {"uri": "/a", "create_time": 1, "update_time": 1}, ("uri",)),
        ({"uri": "/a", "desc": "x"}, {"uri": "/b"}, ("desc", "uri")),
        ({"plugins": {"a": 1, "b": {"key": "old"}}}, {"plugins": {"b": {"key": "new"}}}, ("plugins.a", "plugins.b")),
        ({"plugins": {"a": 1}}, {}, ("plugins.a",)),
        ({"plugins": [1]}, {"plugins": {}}, ("plugins",)),
        ({"uri": "/a", "update_time": 1}, {"uri": "/a", "update_time": 2}, ()),
        ({}, {"x" * 100: 1}, ("x" * MAX_NAME,)),
    ],
)
def test_changed_fields_are_named_without_their_values(
    old: dict[str, Any], new: dict[str, Any], changed: tuple[str, ...]
) -> None:
    assert changed_fields(old, new) == changed


def test_many_changed_fields_are_named_in_part() -> None:
    found = changed_fields({}, {f"f{n:03}": n for n in range(100)})
    assert len(found) == MAX_FIELDS + 1 and found[-1] == "..."


async def test_neither_a_key_nor_a_secret_value_comes_into_the_log(
    api: Client, audit_log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "the-secret-of-jack"
    body = {"username": "jack", "plugins": {"key-auth": {"key": secret}}, "desc": "a description"}
    for method, path, key in (
        ("PUT", "consumers/jack", KEY),
        ("PUT", f"consumers/jack?api_key={KEY}", None),
        ("PUT", "consumers/jack", "a-wrong-key"),
        ("DELETE", "consumers/jack", KEY),
    ):
        await api.ask(method, path, body, key=key)
    text = await asyncio.to_thread(written, audit_log, 3) + "".join(capfd.readouterr())
    assert '"changed":["desc","plugins.key-auth","username"]' in text
    assert not [word for word in (KEY, secret, "a-wrong-key", "a description") if word in text]


def written(path: Path, count: int) -> str:
    deadline = time.monotonic() + 10
    while len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()
