"""`unilb control` as a process, and embedded."""

import argparse
import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from control.admin.auth import AdminKey
from control.model.sticky import StickyKeys
from control.server import ControlSettings, add_parser, parse_address, serve, settings_from
from control.store.base import Store
from control.store.open import open_store

KEY = "the-admin-key"
SETTINGS = ControlSettings((AdminKey("admin", KEY, "admin"),), ("127.0.0.1", 0))
PROGRAM = """
import argparse, sys
from control.server import add_parser
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers(required=True))
arguments = parser.parse_args()
sys.exit(arguments.run(arguments))
"""


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    return parser.parse_args(["control", *words])


def start(*words: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "control", *words],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("UNILB_")}, **environment},
    )


def test_a_process_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/store.db"
    process = start("--store", url, "--listen", "127.0.0.1:0", UNILB_ADMIN_KEY=KEY, UNILB_VIEWER_KEY="the-viewer-key")
    assert process.stderr is not None
    address = process.stderr.readline().removeprefix("unilb control: listening on ").strip()
    request = urllib.request.Request(f"http://{address}/apisix/admin/routes", headers={"X-API-KEY": "the-viewer-key"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer) == {"list": [], "total": 0}
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--store", "sqlite:x.db"), 2, "admin key: give --admin-key or set UNILB_ADMIN_KEY"),
        (("--store", "sqlite:x.db", "--admin-key", "short"), 2, "admin key: it has fewer than 8 characters"),
        (("--store", "sqlite:x.db", "--admin-key", KEY, "--viewer-key", KEY), 2, "it must differ from the admin key"),
        (("--store", "redis://x", "--admin-key", KEY), 2, "store URL: unknown scheme 'redis'"),
        (("--store", "sqlite:x.db", "--admin-key", KEY, "--listen", "9180"), 2, "listen: expected ADDRESS:PORT"),
        (("--store", "sqlite:x.db", "--admin-key", KEY, "--unique-ips", "100.64.0.0/31"), 2, "a pool has a prefix"),
        (("--store", "sqlite:x.db", "--admin-key", KEY, "--listen", "192.0.2.1:9180"), 1, "Cannot assign"),
    ],
)
def test_what_cannot_start_says_why(words: tuple[str, ...], status: int, says: str) -> None:
    process = start(*words)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, says in errors) == (status, True), errors
    assert "Traceback" not in errors and KEY not in errors


def test_settings_come_from_the_command_line_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNILB_ADMIN_KEY", "from-the-environment")
    settings = settings_from(parse("--store", "sqlite:x", "--admin-key", "from-the-command-line"))
    assert [key.key for key in settings.keys] == ["from-the-command-line"]
    assert settings.listen == ("127.0.0.1", 9180)
    assert "from-the-command-line" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "address"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:0", ("::1", 0)), ("127.0.0.1:65535", ("127.0.0.1", 65535))],
)
def test_an_address_is_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "h:80", "1.1.1.1:-1"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="listen"):
        parse_address(text)


class Embedded:
    """`serve` in the loop of the test."""

    def __init__(self, store: Store, settings: ControlSettings = SETTINGS) -> None:
        self._bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(serve(store, settings, self._ready))

    def _ready(self, host: str, port: int) -> None:
        self._bound.set_result(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def url(self) -> str:
        await asyncio.wait({self.task, self._bound}, return_when=asyncio.FIRST_COMPLETED)
        return await (self.task if self.task.done() else self._bound)  # type: ignore[return-value]

    async def stop(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


async def test_the_sticky_key_is_made_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    values = []
    for _ in range(2):
        control = Embedded(store)
        await control.url()
        entry = await store.get("/unilb/keys/sticky")
        assert entry is not None
        values.append(entry.value)
        await control.stop()
    await store.close()
    assert values[0] == values[1]
    assert len(StickyKeys.from_json(json.loads(values[0])).current) == 32
    assert base64.b64encode(StickyKeys.from_json(json.loads(values[0])).current) in values[0]


async def test_a_request_in_progress_is_finished_when_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store)
    url = await control.url()
    entered, leave = asyncio.Event(), asyncio.Event()
    real = store.get

    async def slow(key: str) -> object:
        entered.set()
        await leave.wait()
        return await real(key)

    monkeypatch.setattr(store, "get", slow)
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(f"{url}/apisix/admin/routes/1", headers={"X-API-KEY": KEY}))
        await entered.wait()
        stopping = asyncio.create_task(control.stop())
        await asyncio.sleep(0)
        leave.set()
        answer = await asking
        assert answer.status == 404
        answer.release()
        await stopping
    await store.close()


async def test_an_address_in_use_is_an_error_of_the_caller(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = ControlSettings(SETTINGS.keys, taken.getsockname())
        with pytest.raises(OSError):
            await serve(store, settings, lambda *_: None)
    await store.close()


async def test_ipv6_is_served(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store, ControlSettings(SETTINGS.keys, ("::1", 0)))
    url = await control.url()
    async with aiohttp.ClientSession() as session, session.head(f"{url}/apisix/admin") as answer:
        assert answer.status == 200
    await control.stop()
    await store.close()


@pytest.mark.alone
async def test_small_answers_are_not_held_back(tmp_path: Path) -> None:
    """Nagle's algorithm against delayed acknowledgements costs 40 ms per answer."""
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store)
    url = await control.url()
    loop = asyncio.get_running_loop()
    times = []
    async with aiohttp.ClientSession(headers={"X-API-KEY": KEY}) as session:
        for _ in range(11):
            started = loop.time()
            async with session.get(f"{url}/unilb/status") as answer:
                await answer.read()
            times.append(loop.time() - started)
    assert sorted(times)[5] < 0.03
    await control.stop()
    await store.close()


async def test_a_huge_request_head_is_refused(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    control = Embedded(store)
    host, port = (await control.url()).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /unilb/status HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000)
    assert b" 400 " in await reader.readline()
    writer.close()
    await control.stop()
    await store.close()


@pytest.mark.parametrize(("words", "address"), [([], ("127.0.0.1", 9090)), (["--control-listen", "off"], None)])
def test_the_control_api_is_at_its_usual_place_or_off(words: list[str], address: tuple[str, int] | None) -> None:
    settings = settings_from(parse("--store", "sqlite:/x", "--admin-key", "long-enough", *words))
    assert settings.control_listen == address
    assert settings.may_lack_control is (not words)
