"""The real Admin API for a blocking client: it runs in a thread, on a store of the test's own."""

import argparse
import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from control.admin.auth import AdminKey
from control.ctl.cli import add_parser, run
from control.ctl.client import Api, Server
from control.server import ControlSettings, serve
from control.store.open import open_store

KEY = "the-admin-key"


@dataclass
class Running:
    url: str

    def api(self) -> Api:
        return Api(Server(self.url, KEY))


@contextmanager
def serving(store_url: str, audit_log: Path) -> Iterator[Running]:
    """Serve `store_url` on a free port until the block ends."""
    bound = threading.Event()
    where: list[str] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        store = open_store(store_url)
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))

        def ready(host: str, port: int) -> None:
            where.append(f"http://{host}:{port}")
            bound.set()

        settings = ControlSettings(
            keys=(AdminKey("admin", KEY, "admin"),), listen=("127.0.0.1", 0), audit_log=str(audit_log)
        )
        try:
            await serve(store, settings, ready)
        except asyncio.CancelledError:
            pass
        finally:
            await store.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert bound.wait(20)
        yield Running(where[0])
    finally:
        stop[0]()
        thread.join(20)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store.db"


@pytest.fixture
def server(store_url: str, tmp_path: Path) -> Iterator[Running]:
    with serving(store_url, tmp_path / "audit.log") as running:
        yield running


@pytest.fixture
def api(server: Running) -> Iterator[Api]:
    api = server.api()
    yield api
    api.close()


@dataclass
class Result:
    code: int
    out: str
    err: str


Ctl = Callable[..., Result]


@pytest.fixture
def ctl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ctl:
    """Run `unilb ctl ...` in this process; `input` is its standard input."""

    def call(*arguments: str, input: str = "") -> Result:
        parser = argparse.ArgumentParser(prog="unilb")
        add_parser(parser.add_subparsers())
        stdin = io.TextIOWrapper(io.BytesIO(input.encode()))
        monkeypatch.setattr("sys.stdin", stdin)
        capsys.readouterr()
        code = run(parser.parse_args(["ctl", *arguments]))
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return call


@pytest.fixture
def there(server: Running, monkeypatch: pytest.MonkeyPatch, ctl: Ctl) -> Ctl:
    """`ctl` with the server and its key in the environment."""
    monkeypatch.setenv("UNILB_SERVER", server.url)
    monkeypatch.setenv("UNILB_ADMIN_KEY", KEY)
    return ctl
