"""The real application over HTTP, on a store of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from control.admin.auth import AdminKey
from control.allocate.pool import Pools
from control.server import ControlSettings, serve
from control.store.base import Store
from control.store.open import open_store

KEY = "the-admin-key"
VIEWER = "the-viewer-key"
DEFAULT = Pools()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return str(self.json["error_msg"])

    @property
    def value(self) -> Any:
        return self.json["value"]


class Client:
    """Talks to one Admin API; paths start with /apisix/admin unless they start with /unilb."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def ask(
        self, method: str, path: str, body: object = None, key: str | None = KEY, headers: Mapping[str, str] = {}
    ) -> Answer:
        full = path if path.startswith(("/unilb", "/apisix")) else f"/apisix/admin/{path}"
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {**({"X-API-KEY": key} if key is not None else {}), **headers}
        async with self.session.request(method, self.url + full, data=raw, headers=sent) as answer:
            return Answer(answer.status, answer.headers.copy(), await answer.read())

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def put(self, path: str, body: object) -> Answer:
        return await self.ask("PUT", path, body)

    async def post(self, path: str, body: object) -> Answer:
        return await self.ask("POST", path, body)

    async def patch(self, path: str, body: object) -> Answer:
        return await self.ask("PATCH", path, body)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def must_put(self, path: str, body: object) -> Any:
        """PUT something that must be fine; its stored value."""
        answer = await self.put(path, body)
        assert answer.status in (200, 201), answer.raw
        return answer.value


@asynccontextmanager
async def running(store: Store, audit_log: Path, pools: Pools = DEFAULT) -> AsyncIterator[Client]:
    """Serve `store` on a free port."""
    keys = (AdminKey("admin", KEY, "admin"), AdminKey("viewer", VIEWER, "viewer"))
    settings = ControlSettings(keys, ("127.0.0.1", 0), str(audit_log), pools)
    bound: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(store, settings, lambda host, port: bound.set_result((host, port))))
    await asyncio.wait({serving, bound}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    host, port = bound.result()
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(f"http://{host}:{port}", session)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def audit_log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    yield store
    await store.close()


@pytest.fixture
async def api(store: Store, audit_log: Path) -> AsyncIterator[Client]:
    async with running(store, audit_log) as client:
        yield client


@pytest.fixture(params=["sqlite", pytest.param("etcd", marks=pytest.mark.etcd)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh store of each kind."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/shared.db"
    start: Callable[..., Any] = request.getfixturevalue("start_etcd")
    return str(start().url)


@pytest.fixture
async def pair(url: str, tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    """Two control processes' worth of Admin API on one store."""
    async with AsyncExitStack() as stack:
        clients = []
        for number in range(2):
            store = open_store(url)
            stack.push_async_callback(store.close)
            clients.append(await stack.enter_async_context(running(store, tmp_path / f"audit-{number}")))
        yield clients[0], clients[1]
