"""Credentials. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.credential import check_credential
from control.model.errors import ModelError

GOOD: list[dict[str, Any]] = [
    {},
    {"id": "jack/credentials/c", "plugins": {"key-auth": {"key": "k"}}},
    {"id": 5, "plugins": {"basic-auth": {"username": "u", "password": "p"}}},
]


@pytest.mark.parametrize("doc", GOOD)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_credential(doc)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        {"id": "jack/c"},
        {"plugins": {"cors": {}}},
        {"plugins": {"key-auth": {"key": "a"}, "jwt-auth": {"key": "a", "secret": "b"}}},
        {"username": "j"},
    ],
)
def test_it_is_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        check_credential(doc)
