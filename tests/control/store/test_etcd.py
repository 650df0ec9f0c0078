"""EtcdStore beside the conformance suite: pages, and compaction between them."""

from typing import Any

import pytest

from control.store.base import Put, Store, StoreUnavailable
from control.store.etcd import EtcdStore
from control.store.etcd_gateway import EtcdRefused, encode
from control.store.open import open_store
from tests.control.conftest import EtcdServer

pytestmark = pytest.mark.etcd


async def filled(server: EtcdServer, prefix: str) -> EtcdStore:
    store = open_store(server.url)
    await store.txn([], [Put(f"{prefix}{n:02}", b"v") for n in range(10)])
    assert isinstance(store, EtcdStore)
    return store


def on_page(store: Store, number: int, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something before a page is read."""
    gateway = store._gateway  # type: ignore[attr-defined]
    real, calls = gateway.call, 0

    async def call(path: str, body: dict[str, Any], is_repeatable: bool = True) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            await act(real)
        return await real(path, body, is_repeatable)

    monkeypatch.setattr(gateway, "call", call)


@pytest.mark.parametrize("page", [1, 3, 5, 9, 10, 11])
async def test_a_list_in_pages_is_complete(shared_etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr("control.store.etcd.PAGE", page)
    prefix = f"/pages/{page}/"
    store = await filled(shared_etcd, prefix)
    entries, _ = await store.range(prefix)
    assert [entry.key for entry in entries] == [f"{prefix}{n:02}" for n in range(10)]
    await store.close()


async def test_what_changes_between_two_pages_is_not_seen(
    shared_etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.store.etcd.PAGE", 4)
    store = await filled(shared_etcd, "/between/")

    async def change(call: Any) -> None:
        await call("/v3/kv/put", {"key": encode("/between/09x"), "value": encode("late")})
        await call("/v3/kv/deleterange", {"key": encode("/between/08")})

    on_page(store, 2, change, monkeypatch)
    entries, revision = await store.range("/between/")
    assert [entry.key for entry in entries] == [f"/between/{n:02}" for n in range(10)]
    assert max(entry.mod_revision for entry in entries) <= revision
    await store.close()


async def test_a_list_whose_revision_is_compacted_meanwhile_starts_over(
    start_etcd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.store.etcd.PAGE", 4)
    store = await filled(start_etcd(), "/c/")

    async def compact(call: Any) -> None:
        put = await call("/v3/kv/put", {"key": encode("/c/10"), "value": encode("v")})
        await call("/v3/kv/compaction", {"revision": put["header"]["revision"]})

    on_page(store, 2, compact, monkeypatch)
    entries, _ = await store.range("/c/")
    assert [entry.key for entry in entries] == [f"/c/{n:02}" for n in range(11)]
    await store.close()


async def test_a_list_that_never_gets_through_gives_up(
    shared_etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(shared_etcd, "/g/")

    async def compacted(*_: Any) -> None:
        raise EtcdRefused(11, "required revision has been compacted")

    monkeypatch.setattr(store._gateway, "call", compacted)
    with pytest.raises(StoreUnavailable, match="compacted faster"):
        await store.range("/g/")
    await store.close()
