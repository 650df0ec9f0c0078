"""GET /unilb/status."""

import pytest

from control.store.base import Store, StoreUnavailable
from tests.control.admin.conftest import VIEWER, Client


async def test_status_tells_the_revision(api: Client, store: Store) -> None:
    _, revision = await store.range("/")
    status = (await api.get("/unilb/status")).json
    assert (status["store"], status["revision"]) == ("ok", revision)
    assert (await api.ask("GET", "/unilb/status", key=None)).status == 401


async def test_a_viewer_may_ask(api: Client) -> None:
    assert (await api.ask("GET", "/unilb/status", key=VIEWER)).status == 200


async def test_an_unavailable_store_is_503_with_the_reason(
    api: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: str) -> None:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(store, "range", fail)
    answer = await api.get("/unilb/status")
    assert answer.status == 503
    assert (answer.json["store"], answer.json["error_msg"]) == ("unavailable", "connection refused")
