"""Secrets at rest, compatible with APISIX's."""

import json
from typing import Any

import pytest

from control.model.encryption import DEFAULT_KEYRING, Keyring, parse_keyring

NEW = Keyring(["0123456789abcdef", *DEFAULT_KEYRING])


def test_the_ciphertext_is_the_one_apisix_stores() -> None:
    assert Keyring().encrypt("the-password") == "WvF5kpaLvIzjuk4GNIMTJg=="


@pytest.mark.parametrize("text", ["", "x", "ü" * 16, "x" * 4096, "$secret://vault/1/key"])
@pytest.mark.parametrize("keyring", [Keyring(), Keyring(["k" * 32]), Keyring([])])
def test_what_was_encrypted_is_decrypted(keyring: Keyring, text: str) -> None:
    assert keyring.decrypt(keyring.encrypt(text)) == text


def test_an_older_key_still_decrypts_and_the_first_one_encrypts() -> None:
    old = Keyring().encrypt("secret")
    assert NEW.decrypt(old) == "secret"
    assert NEW.encrypt("secret") != old


@pytest.mark.parametrize("stored", ["plain", "", "YWJj", "A" * 24, "====", "not base64!", "\u00e4"])
def test_what_no_key_opens_stays_as_it_is(stored: str) -> None:
    assert Keyring().decrypt(stored) == stored


@pytest.mark.parametrize("key", ["", "short", "x" * 17, "ü" * 16 + "x"])
def test_a_key_has_sixteen_or_thirty_two_bytes(key: str) -> None:
    with pytest.raises(ValueError, match="16 or 32 bytes"):
        Keyring([key])


@pytest.mark.parametrize(
    ("key", "doc", "secrets"),
    [
        ("/apisix/routes/1", {"plugins": {"csrf": {"key": "S", "name": "n"}}}, 1),
        ("/apisix/routes/1", {"plugins": {"loki-logger": {"headers": {"a": "S", "b": "S"}}}}, 2),
        ("/apisix/routes/1", {"plugins": {"saml-auth": {"secret_fallbacks": ["S", "S"], "secret": "S"}}}, 3),
        ("/apisix/routes/1", {"plugins": {"kafka-logger": {"brokers": [{"sasl_config": {"password": "S"}}]}}}, 1),
        ("/apisix/routes/1", {"upstream": {"tls": {"client_key": "S", "client_cert": "c"}}}, 1),
        ("/apisix/services/1", {"upstream": {"tls": {"client_key": "S"}}, "plugins": {"csrf": {"key": "S"}}}, 2),
        ("/apisix/upstreams/1", {"tls": {"client_key": "S"}}, 1),
        ("/apisix/ssls/1", {"key": "S", "keys": ["S"], "cert": "c"}, 2),
        ("/apisix/consumers/a", {"plugins": {"key-auth": {"key": "S"}}}, 1),
        ("/apisix/consumers/a/credentials/b", {"plugins": {"basic-auth": {"username": "u", "password": "S"}}}, 1),
        ("/apisix/plugin_metadata/azure-functions", {"master_apikey": "S", "master_clientid": "i"}, 1),
        ("/apisix/routes/1", {"plugins": {"key-auth": {"header": "h"}, "unknown": {"key": "k"}, "cors": "bad"}}, 0),
        ("/apisix/protos/1", {"content": "c", "key": "k"}, 0),
        ("/unilb/vpcs/1", {"key": "k"}, 0),
    ],
)
def test_secrets_and_nothing_else_are_sealed(key: str, doc: dict[str, Any], secrets: int) -> None:
    sealed = Keyring().seal(key, doc)
    assert str(sealed).count(Keyring().encrypt("S")) == secrets
    assert "'S'" not in str(sealed)
    assert Keyring().open(key, sealed) == doc
    assert Keyring([]).seal(key, doc) == doc


def test_a_keyring_is_checked_before_anything_is_started() -> None:
    assert parse_keyring(None).encrypt("the-password") == "WvF5kpaLvIzjuk4GNIMTJg=="
    assert parse_keyring("").encrypt("a") == "a"
    assert parse_keyring("0123456789abcdef,qeddd145sfvddff3").decrypt("WvF5kpaLvIzjuk4GNIMTJg==") == "the-password"
    with pytest.raises(ValueError, match="16 or 32 bytes"):
        parse_keyring("short")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("/apisix/consumers/a", b'{"plugins":{"key-auth":{"key":"in the clear"}}}'),
        ("/apisix/consumers/a", b'{"plugins":'),
        ("/apisix/routes/1", b'{"uri": "/"}'),
        ("/unilb/keys/sticky", b'{"key": "k"}'),
        ("/apisix/routes/", b"init_dir"),
    ],
)
def test_a_value_without_secrets_is_left_as_it_is(key: str, value: bytes) -> None:
    assert Keyring().open_value(key, value) is value


def test_a_value_is_opened() -> None:
    sealed = json.dumps(Keyring().seal("/apisix/consumers/a", {"plugins": {"key-auth": {"key": "S"}}})).encode()
    assert Keyring().open_value("/apisix/consumers/a", sealed) == b'{"plugins":{"key-auth":{"key":"S"}}}'
    assert Keyring([]).open_value("/apisix/consumers/a", sealed) is sealed


def test_a_certificates_key_that_is_kept_elsewhere_is_no_secret() -> None:
    doc = {"key": "$secret://vault/1/key", "keys": ["$env://KEY", "S"], "cert": "c"}
    sealed = Keyring().seal("/apisix/ssls/1", doc)
    assert sealed["key"] == doc["key"] and sealed["keys"][0] == "$env://KEY" and sealed["keys"][1] != "S"
    assert Keyring().open("/apisix/ssls/1", sealed) == doc
