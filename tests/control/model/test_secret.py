"""Secret managers. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.secret import check_secret

VAULT = {"uri": "http://127.0.0.1:8200", "prefix": "a", "token": "b"}


@pytest.mark.parametrize(
    ("manager", "doc"),
    [
        ("vault", {**VAULT, "namespace": "n", "id": "vault/1"}),
        ("vault", {**VAULT, "uri": "$env://VAULT", "token": "$env://TOKEN"}),
        ("aws", {"access_key_id": "a", "secret_access_key": "b"}),
        ("gcp", {"auth_file": "/a"}),
    ],
)
def test_it_passes(manager: str, doc: dict[str, Any]) -> None:
    check_secret(doc, manager)


@pytest.mark.parametrize(
    ("manager", "doc"),
    [("vault", {}), ("vault", None), ("aws", VAULT), ("gcp", {"auth_file": 5}), ("env", {}), ("", VAULT)],
)
def test_it_is_refused(manager: str, doc: Any) -> None:
    with pytest.raises(ModelError):
        check_secret(doc, manager)
