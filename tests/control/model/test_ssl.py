"""Certificates. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.ssl import ClientAuth, Ssl, check_ssl, hide
from tests.control.certificates import pair

CERT, KEY = pair("a.example")
OTHER_KEY = pair("b.example")[1]
SSL = {"cert": CERT, "key": KEY, "snis": ["a.example"]}

GOOD: list[dict[str, Any]] = [
    SSL,
    {**SSL, "snis": ["a.example", "*.a.example"]} | {"certs": [CERT], "keys": [KEY]},
    {"type": "client", "cert": CERT, "key": KEY},
    {**SSL, "client": {"ca": CERT, "depth": 2, "skip_mtls_uri_regex": ["/a"]}},
]


@pytest.mark.parametrize("doc", GOOD)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_ssl(doc)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        {},
        {"cert": CERT, "key": KEY},
        {**SSL, "key": OTHER_KEY},
        {**SSL, "certs": [CERT], "keys": [OTHER_KEY]},
        {**SSL, "sni": "a.example"},
    ],
)
def test_it_is_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        check_ssl(doc)


def test_keys_are_hidden() -> None:
    assert hide({**SSL, "keys": [KEY]}) == {"cert": CERT, "snis": ["a.example"]}


def test_it_is_read_with_names_as_they_are_compared() -> None:
    read = Ssl.from_json({"id": 7, **SSL, "snis": ["A.Example.", "*.B.example"], "certs": [CERT], "keys": [KEY]})
    assert (read.id, read.names, read.pairs) == ("7", ("a.example", "*.b.example"), ((CERT, KEY), (CERT, KEY)))
    assert read.enabled and not read.is_client and read.client is None
    assert Ssl.from_json({"sni": "a.example", "cert": CERT, "key": KEY, "status": 0}, "1").names == ("a.example",)


def test_what_clients_have_to_show_is_read() -> None:
    asking = {**SSL, "client": {"ca": CERT, "skip_mtls_uri_regex": ["/a"]}, "ssl_protocols": ["TLSv1.3"]}
    read = Ssl.from_json(asking, "1")
    assert read.client == ClientAuth(CERT, 1, ("/a",)) and read.protocols == ("TLSv1.3",)


def test_a_key_is_never_printed() -> None:
    assert KEY[30:60] not in repr(Ssl.from_json(SSL, "1"))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"key": "A" * 88}, "failed to decrypt key"),
        ({"key": "$secret://vault/1/" + "a" * 60}, "references to secrets are not served"),
    ],
)
def test_a_key_that_gateways_cannot_use_is_named(change: dict[str, str], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        Ssl.from_json({**SSL, **change}, "1")
