"""The worker process: wire, configuration, drain, signals, privileges."""

import asyncio
import json
import os
import shutil
import signal
import socket
from pathlib import Path

import orjson
import pytest

from tests.userspace.proxy.process import ROOT, WorkerProcess
from tests.userspace.proxy.stage import PATIENCE, Speaker, get, hello
from userspace.obs.exposition import render
from userspace.obs.worker_totals import WorkerTotals


async def fetch(worker: WorkerProcess, path: str = "/") -> tuple[bytes, bytes]:
    client = await worker.client()
    await client.say(get(path))
    answer = await client.hear_message()
    await client.close()
    return answer


async def test_it_says_ready_and_serves_from_the_first_snapshot_on(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        assert (await worker.next("ready"))["pid"] == worker.process.pid
        client = await worker.client()
        await client.say(get("/early"))  # waits in the backlog: there is nothing to decide by yet
        assert await worker.configure(revision=7) == {"type": "applied", "revision": 7, "rejected": {}}
        assert (await client.hear_message())[1] == b"GET /early HTTP/1.1"
        assert await worker.end(signal.SIGTERM) == (0, "")


async def test_changes_apply_and_a_bad_object_is_named_and_keeps_its_last_good_version(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure(revision=1, r1="/a")
        assert b" 404 " in (await fetch(worker, "/b"))[0]
        good = json.dumps({"id": "r2", "uri": "/b", "upstream_id": "u1"})
        changes = [["/apisix/routes/r1", '{"uri": 5}'], ["/apisix/routes/r2", good]]
        await worker.tell({"type": "changes", "revision": 2, "changes": changes})
        applied = await worker.next("applied")
        assert applied["revision"] == 2 and list(applied["rejected"]) == ["/apisix/routes/r1"]
        assert b" 200 " in (await fetch(worker, "/a"))[0] and b" 200 " in (await fetch(worker, "/b"))[0]
        await worker.tell({"type": "changes", "revision": 3, "changes": [["/apisix/routes/r1", None]]})
        assert await worker.next("applied") == {"type": "applied", "revision": 3, "rejected": {}}
        assert b" 404 " in (await fetch(worker, "/a"))[0]


async def test_a_second_snapshot_replaces_the_first(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure(revision=1, r1="/a", r2="/b")
        await worker.configure(revision=9, r2="/b")
        assert b" 404 " in (await fetch(worker, "/a"))[0] and b" 200 " in (await fetch(worker, "/b"))[0]


async def test_counters_add_up_to_what_was_asked(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure(revision=4)
        for number in range(30):
            await fetch(worker, f"/{number}")
        totals = WorkerTotals()
        # The first report may have left before the last request; its successor holds the rest.
        await worker.tell({"type": "counters?"})
        asked = 0
        while asked < 30:
            counters = (await worker.next("counters"))["counters"]
            totals.report("w", counters)
            asked = counters["totals"]["requests"]
        text = render([totals]).decode()
        assert 'unilb_endpoint_responses_total{route="r1",' in text and 'class="2xx"} 30\n' in text
        assert "apisix_http_requests_total 30\n" in text and 'unilb_config_revision{worker="w"} 4\n' in text
        code, _ = await worker.end(signal.SIGTERM)
        assert code == 0
        assert len(worker.log_path.read_bytes().splitlines()) == 30


async def test_counters_come_every_second_unasked(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.next("counters")
        await worker.next("counters")


class Slow:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, speaker: Speaker) -> None:
        while True:
            await speaker.hear_head()
            self.asked.set()
            await self.go.wait()
            await speaker.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")


@pytest.mark.parametrize("by", ["signal", "wire"])
async def test_a_drain_lets_exchanges_finish_and_nothing_begin(tmp_path: Path, by: str) -> None:
    slow = Slow()
    async with WorkerProcess(tmp_path, slow) as worker:
        await worker.configure()
        idle, busy = await worker.client(), await worker.client()
        slow.go.set()
        await idle.say(get())
        await idle.hear_message()
        slow.go.clear()
        slow.asked.clear()
        await busy.say(get())
        await asyncio.wait_for(slow.asked.wait(), 5)
        if by == "signal":
            worker.process.send_signal(signal.SIGTERM)
        else:
            await worker.tell({"type": "drain", "deadline": 5})
        assert await idle.hear_end() == b"", "an idle connection is closed"
        late = await worker.client()  # the test still holds the listening socket: it waits in the backlog
        await late.say(get("/late"))
        slow.go.set()
        head, body = await busy.hear_message()
        assert body == b"done" and b"\r\nConnection: close\r\n" in head
        assert await busy.hear_end() == b""
        final = await worker.next("counters")
        while final["counters"]["totals"]["requests"] < 2:
            final = await worker.next("counters")
        await worker.next("drained")
        with pytest.raises(EOFError):
            await worker.next("anything")
        assert await worker.end() == (0, "")
        assert len(worker.log_path.read_bytes().splitlines()) == 2


async def test_a_new_connection_may_still_send_its_first_request_into_a_drain(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure()
        await fetch(worker)
        client = await worker.client()
        await worker.tell({"type": "counters?"})
        while (await worker.next("counters"))["counters"]["totals"]["accepted"] < 2:
            await worker.tell({"type": "counters?"})
        await worker.tell({"type": "drain", "deadline": 5})
        await client.say(get("/first"))
        head, body = await client.hear_message()
        assert body == b"GET /first HTTP/1.1" and b"Connection: close" in head
        assert await worker.end() == (0, "")


async def test_the_deadline_of_a_drain_cuts_what_is_left(tmp_path: Path) -> None:
    slow = Slow()
    async with WorkerProcess(tmp_path, slow, drain_deadline=0.2) as worker:
        await worker.configure()
        client = await worker.client()
        await client.say(get())
        await asyncio.wait_for(slow.asked.wait(), 5)
        code, _ = await worker.end(signal.SIGTERM)
        assert code == 0
        assert await client.is_reset()
        [line] = map(orjson.loads, worker.log_path.read_bytes().splitlines())
        assert (line["error"], line["error_source"]) == ("drained", "internal")


async def test_it_serves_on_when_the_node_is_gone_and_ends_by_sigterm(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure()
        kept = await worker.client()
        await kept.say(get())
        await kept.hear_message()
        worker.wire.close()
        await asyncio.sleep(1.1)  # past one report that has nowhere to go
        await kept.say(get("/kept"))
        assert (await kept.hear_message())[1] == b"GET /kept HTTP/1.1"
        assert (await fetch(worker, "/new"))[1] == b"GET /new HTTP/1.1"
        assert await worker.end(signal.SIGTERM) == (0, "")


async def test_without_a_configuration_it_goes_with_its_node(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        worker.wire.close()
        assert await asyncio.wait_for(worker.process.wait(), PATIENCE) == 0


async def test_bytes_that_are_no_message_cost_the_wire_and_not_the_service(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure()
        await asyncio.get_running_loop().sock_sendall(worker.wire, b"\xff" * 8)
        with pytest.raises(EOFError):
            await worker.next("anything")
        assert b" 200 " in (await fetch(worker))[0]
        code, errors = await worker.end(signal.SIGTERM)
        assert code == 0 and "wire: message of 4294967295 bytes is over the limit" in errors


async def test_sighup_follows_a_rotated_log_and_sigint_is_ignored(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello) as worker:
        await worker.configure()
        await fetch(worker, "/one")
        worker.log_path.rename(tmp_path / "access.log.1")
        worker.process.send_signal(signal.SIGINT)
        worker.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(5):
            while not worker.log_path.exists():
                await asyncio.sleep(0.005)
        await fetch(worker, "/two")
        assert (await worker.end(signal.SIGTERM))[0] == 0
        assert b'"/two"' in worker.log_path.read_bytes()


@pytest.mark.parametrize(
    ("settings", "options", "text"),
    [
        ({"max_conections": 1}, (), "unknown setting max_conections"),
        ({"access_log": "/nowhere/at/all"}, (), "No such file or directory"),
        ({}, ("--user", "nobody-here"), "user nobody-here does not exist"),
    ],
)
async def test_it_refuses_to_start_with_a_clear_word(
    tmp_path: Path, settings: dict[str, object], options: tuple[str, ...], text: str
) -> None:
    async with WorkerProcess(tmp_path, hello, *options, **settings) as worker:
        code, errors = await worker.end()
        assert code == 2 and text in errors


async def test_it_asks_the_node_to_splice_once_it_has_a_key(tmp_path: Path) -> None:
    async with WorkerProcess(tmp_path, hello, splice="auto", real_ip_from=[]) as worker:
        await worker.configure()
        client = await worker.client()
        for path in ("/1", "/2", "/3"):  # without a key it serves by itself
            await client.say(get(path))
            await client.hear_message()
        await worker.tell({"type": "splice_key", "seed": "5", "factor": "7", "epoch": 4, "edition": 9})
        await worker.tell({"type": "counters?"})
        await worker.next("counters")
        await client.say(get("/4"))
        data, fds, _, _ = await asyncio.to_thread(socket.recv_fds, worker.splice, 65536, 4)
        asked = orjson.loads(data)
        assert (asked["type"], asked["kind"], asked["edition"], len(fds)) == ("splice", "guarded", 9, 2)
        worker.splice.send(orjson.dumps({"type": "refused", "tag": asked["tag"], "reason": "loopback"}))
        for fd in fds:
            os.close(fd)
        assert (await client.hear_message())[1] == b"GET /4 HTTP/1.1"
        await worker.tell({"type": "counters?"})
        totals = (await worker.next("counters"))["counters"]["totals"]
        assert (totals["splices_asked"], totals["splices_refused"]) == (1, 1)
        assert await worker.end(signal.SIGTERM) == (0, "")


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
async def test_a_root_worker_keeps_no_privilege_and_needs_no_file_afterwards(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("userspace", "control"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    checkout.chmod(0o700)
    async with WorkerProcess(tmp_path, hello, "--user", "nobody", root=checkout) as worker:
        await worker.configure()
        seen = status(worker.process.pid)
        assert set(seen["Uid"].split()) == {"65534"} and set(seen["Gid"].split()) == {"65534"}
        assert seen["Groups"] == "" and seen["NoNewPrivs"] == "1"
        assert all(int(seen[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
        # Everything that takes its own path through the code: none may import anything now.
        assert b" 200 " in (await fetch(worker))[0]
        bad, torn = await worker.client(), await worker.client()
        await bad.say(b"BAD\r\n\r\n")
        assert (await bad.hear_end()).startswith(b"HTTP/1.1 ")
        await torn.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx")
        await torn.close()
        upstream = {"id": "u1", "type": "roundrobin", "nodes": {"no-such-name.invalid:80": 1}}
        change = ["/apisix/upstreams/u1", json.dumps(upstream)]
        await worker.tell({"type": "changes", "revision": 2, "changes": [change]})
        await worker.next("applied")
        await worker.tell({"type": "names", "names": {"no-such-name.invalid": [[], "Domain name not found"]}})
        assert b" 503 " in (await fetch(worker))[0]
        code, errors = await worker.end(signal.SIGTERM)
        assert (code, errors) == (0, "")
        assert worker.log_path.stat().st_uid == 65534
