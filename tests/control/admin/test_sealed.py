"""Secrets between the API and the store."""

import orjson

from control.admin.sealed import SealedStore, sealed
from control.model.encryption import Keyring
from control.store.base import Put, Store
from tests.control.admin.conftest import Client

USER = {"username": "a", "plugins": {"basic-auth": {"username": "a", "password": "the-password"}}}
STORED = "WvF5kpaLvIzjuk4GNIMTJg=="


async def test_a_write_answers_and_stores_ciphertext_and_a_read_shows_plaintext(api: Client, store: Store) -> None:
    made = await api.put("consumers/a", USER)
    assert made.value["plugins"]["basic-auth"]["password"] == STORED
    entry = await store.get("/apisix/consumers/a")
    assert entry is not None and orjson.loads(entry.value)["plugins"]["basic-auth"]["password"] == STORED
    assert (await api.get("consumers/a")).value["plugins"] == USER["plugins"]
    assert (await api.get("consumers")).json["list"][0]["value"]["plugins"] == USER["plugins"]


async def test_patching_leaves_a_secret_what_it_is(api: Client) -> None:
    await api.must_put("routes/1", {"uri": "/a", "plugins": {"csrf": {"key": "k"}}})
    for number in range(2):
        assert (await api.patch("routes/1", {"desc": str(number)})).status == 200
    assert (await api.get("routes/1")).value["plugins"]["csrf"]["key"] == "k"


async def test_what_stands_in_the_clear_is_read_as_it_is(store: Store) -> None:
    around = SealedStore(store, Keyring())
    raw = {
        "/apisix/routes/1": b'{"plugins":{"csrf":{"key":"plain"}}}',
        "/apisix/routes/": b"init_dir",
        "/unilb/x": b"1",
    }
    await store.txn([], [Put(key, value) for key, value in raw.items()])
    assert {entry.key: entry.value for entry in (await around.range("/"))[0]} == raw
    entry = await around.get("/apisix/routes/1")
    assert entry is not None and entry.value == raw["/apisix/routes/1"]
    assert await around.get("/nothing") is None


async def test_only_a_sealed_store_seals(store: Store) -> None:
    doc = {"plugins": {"csrf": {"key": "k"}}}
    assert sealed(store, "/apisix/routes/1", doc) == doc
    assert sealed(SealedStore(store, Keyring()), "/apisix/routes/1", doc) != doc
