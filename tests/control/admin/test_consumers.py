"""Consumers and their credentials."""

import asyncio
from typing import Any

from control.store.base import Store
from tests.control.admin.conftest import Client


def key_auth(key: str) -> dict[str, Any]:
    return {"plugins": {"key-auth": {"key": key}}}


async def test_a_consumer_is_known_by_its_username(api: Client) -> None:
    created = await api.put("consumers", {"username": "jack", "desc": "x"})
    assert (created.status, created.json["key"]) == (201, "/apisix/consumers/jack")
    assert "id" not in created.value and created.value["create_time"] == created.value["update_time"]
    assert (await api.put("consumers/jack", {"username": "jack"})).status == 200
    assert (await api.get("consumers/jack")).value["username"] == "jack"
    assert (await api.delete("consumers/jack")).json == {"key": "/apisix/consumers/jack", "deleted": "1"}
    assert (await api.delete("consumers/jack")).status == 404


async def test_credentials_stand_below_their_consumer(api: Client) -> None:
    await api.must_put("consumers", {"username": "jack"})
    for method, path in (("GET", "consumers/jack/credentials"), ("GET", "consumers/jack/credentials/c1")):
        missing = await api.ask(method, path)
        assert (missing.status, missing.json) == (404, {"message": "Key not found"})
    created = await api.put("consumers/jack/credentials/c1", key_auth("one"))
    assert (created.status, created.json["key"]) == (201, "/apisix/consumers/jack/credentials/c1")
    assert created.value["id"] == "c1"
    await api.must_put("consumers/jack/credentials", {"id": "c2", "plugins": {"basic-auth": BASIC}})
    listed = (await api.get("consumers/jack/credentials")).json
    assert [item["value"]["id"] for item in listed["list"]] == ["c1", "c2"] and listed["total"] == 2
    assert [item["key"] for item in (await api.get("consumers")).json["list"]] == ["/apisix/consumers/jack"]
    assert (await api.get("consumers/jack/credentials/c1")).value["plugins"] == key_auth("one")["plugins"]
    assert (await api.delete("consumers/jack/credentials/c1")).status == 200


BASIC = {"username": "j", "password": "p"}


async def test_a_consumer_takes_its_credentials_with_it(api: Client, store: Store) -> None:
    await api.must_put("consumers", {"username": "jack"})
    await api.must_put("consumers", {"username": "jackson"})
    await api.must_put("consumers/jack/credentials/c1", key_auth("one"))
    await api.must_put("consumers/jackson/credentials/c1", key_auth("two"))
    assert (await api.delete("consumers/jack")).status == 200
    entries, _ = await store.range("/apisix/consumers/")
    assert [entry.key for entry in entries] == [
        "/apisix/consumers/jackson",
        "/apisix/consumers/jackson/credentials/c1",
    ]


async def test_a_credential_never_outlives_its_consumer_in_a_race(pair: tuple[Client, Client], url: str) -> None:
    one, two = pair
    for round in range(8):
        await one.must_put("consumers", {"username": "jack"})
        await asyncio.gather(
            one.put("consumers/jack/credentials/c1", {"desc": f"{round}"}), two.delete("consumers/jack")
        )
        await two.delete("consumers/jack")
        assert (await one.get("consumers/jack/credentials/c1")).status == 404
