"""Certificates: keys go in and never come out."""

from control.store.base import Store
from tests.control.admin.conftest import Client
from tests.control.certificates import pair

CERT, KEY = pair("a.example")
SSL = {"cert": CERT, "key": KEY, "sni": "a.example"}


async def test_keys_are_not_shown(api: Client, store: Store) -> None:
    await api.must_put("ssls/1", {**SSL, "certs": [CERT], "keys": [KEY]})
    shown = (await api.get("ssls/1")).value
    assert shown["cert"] == CERT and not shown.keys() & {"key", "keys"}
    for answer in (await api.get("ssls/1"), await api.get("ssls")):
        assert b"PRIVATE KEY" not in answer.raw
    assert (await api.get("ssls")).json["list"][0]["value"] == shown
    entry = await store.get("/apisix/ssls/1")
    assert entry is not None and b'"key"' in entry.value


async def test_a_patch_keeps_the_key_that_is_not_shown(api: Client) -> None:
    await api.must_put("ssls/1", SSL)
    answer = await api.patch("ssls/1", {"snis": ["b.example"], "sni": None})
    assert (answer.status, answer.value["snis"]) == (200, ["b.example"])
    assert (await api.patch("ssls/1/status", 0)).status == 200


async def test_a_key_is_exchanged_with_its_certificate(api: Client) -> None:
    await api.must_put("ssls/1", SSL)
    cert, key = pair("b.example")
    assert (await api.patch("ssls/1", {"key": key})).error == "failed to parse key: it is not the certificate's"
    assert (await api.patch("ssls/1", {"key": key, "cert": cert})).status == 200


async def test_a_key_that_gateways_fetch_is_not_looked_at(api: Client) -> None:
    await api.must_put("ssls/1", {**SSL, "cert": "$secret://vault/1/cert", "key": "$env://KEY"})
