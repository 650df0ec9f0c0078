"""Consumers. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.consumer import check_consumer
from control.model.errors import ModelError

GOOD: list[dict[str, Any]] = [
    {"username": "Jack-and_Rose1"},
    {"username": "j", "group_id": 1, "plugins": {"key-auth": {"key": "k"}, "sticky": {}}},
    {"username": "j", "plugins": {"key-auth": {"_meta": {"disable": True}}}},
]


@pytest.mark.parametrize("doc", GOOD)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_consumer(doc)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        {},
        {"username": ""},
        {"username": "j", "plugins": {"key-auth": {}}},
        {"username": "j", "uri": "/"},
    ],
)
def test_it_is_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        check_consumer(doc)
