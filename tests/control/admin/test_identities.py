"""What consumers are known by: no two by the same."""

import asyncio
from typing import Any

import pytest

from control.store.base import Put, Store
from tests.control.admin.conftest import Client


def key_auth(key: str) -> dict[str, Any]:
    return {"plugins": {"key-auth": {"key": key}}}


@pytest.mark.parametrize(
    ("plugin", "conf", "other"),
    [
        ("key-auth", {"key": "same"}, {"key": "other"}),
        ("basic-auth", {"username": "same", "password": "a"}, {"username": "other", "password": "a"}),
        ("hmac-auth", {"key_id": "same", "secret_key": "a"}, {"key_id": "other", "secret_key": "a"}),
        ("jwt-auth", {"key": "same", "secret": "a" * 32}, {"key": "other", "secret": "a" * 32}),
    ],
)
async def test_no_two_consumers_are_known_by_the_same(
    api: Client, plugin: str, conf: dict[str, Any], other: dict[str, Any]
) -> None:
    await api.must_put("consumers", {"username": "alex", "plugins": {plugin: conf}})
    await api.must_put("consumers", {"username": "alex", "plugins": {plugin: conf}, "desc": "again"})
    taken = await api.put("consumers", {"username": "bob", "plugins": {plugin: conf}})
    assert (taken.status, taken.error) == (400, f"duplicate key of plugin {plugin} found with consumer: alex")
    await api.must_put("consumers", {"username": "bob", "plugins": {plugin: other}})
    taken = await api.put("consumers/bob/credentials/c1", {"plugins": {plugin: conf}})
    assert taken.error == f"duplicate key of plugin {plugin} found with consumer: alex"


async def test_what_a_credential_is_known_by_is_nobody_elses(api: Client) -> None:
    await api.must_put("consumers", {"username": "alex"})
    await api.must_put("consumers/alex/credentials/c1", key_auth("same"))
    await api.must_put("consumers/alex/credentials/c1", key_auth("same"))
    taken = await api.put("consumers", {"username": "bob", **key_auth("same")})
    assert taken.error == "duplicate key of plugin key-auth found with credential: c1 of consumer: alex"
    await api.delete("consumers/alex/credentials/c1")
    await api.must_put("consumers", {"username": "bob", **key_auth("same")})


async def test_what_gateways_fetch_may_be_named_twice(api: Client) -> None:
    for username in ("alex", "bob"):
        await api.must_put("consumers", {"username": username, **key_auth("$secret://vault/1/key")})


async def test_of_two_that_claim_the_same_at_once_one_has_it(pair: tuple[Client, Client]) -> None:
    for round in range(8):
        answers = await asyncio.gather(
            *(
                api.put("consumers", {"username": f"u{round}_{number}", **key_auth(f"k{round}")})
                for number, api in enumerate(pair)
            )
        )
        assert sorted(answer.status for answer in answers) == [201, 400], [answer.raw for answer in answers]


async def test_what_is_broken_in_the_store_claims_nothing(api: Client, store: Store) -> None:
    broken = [b"[]", b'{"plugins":5,"x":"same"}', b'{"plugins":{"key-auth":["same"]}}', b'{"same"']
    await store.txn([], [Put(f"/apisix/consumers/{n}", value) for n, value in enumerate(broken)])
    await api.must_put("consumers", {"username": "bob", **key_auth("same")})
