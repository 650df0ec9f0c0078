"""Certificates. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.ssl import check_ssl, hide
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
