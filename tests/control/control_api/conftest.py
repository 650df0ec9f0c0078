"""The Control API in this process, on a store of the test's own."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from control.control_api.app import build
from control.store.base import Put, Store
from control.store.open import open_store


@dataclass(frozen=True)
class Answer:
    status: int
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return str(self.json["error_msg"])


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(f"sqlite://{tmp_path}/store.db")
    yield store
    await store.close()


@pytest.fixture
def ask(store: Store) -> Ask:
    """Ask the application as a server would."""
    app = build(store)

    async def ask(path: str, method: str = "GET", accept: str = "*/*") -> Answer:
        sent: list[MutableMapping[str, Any]] = []
        where, _, query = path.partition("?")
        scope = {
            **{"type": "http", "method": method, "path": where, "raw_path": where.encode(), "root_path": ""},
            **{"query_string": query.encode(), "headers": [(b"accept", accept.encode())], "http_version": "1.1"},
        }

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return Answer(sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]))

    return ask


async def put(store: Store, key: str, doc: object) -> None:
    await store.txn([], [Put(key, json.dumps(doc).encode())])
