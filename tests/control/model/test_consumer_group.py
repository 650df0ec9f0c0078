"""Consumer groups. Every text of a refusal stands in tests/control/admin/test_bad_resources.py."""

from typing import Any

import pytest

from control.model.consumer_group import check_consumer_group
from control.model.errors import ModelError

GOOD: list[dict[str, Any]] = [
    {"id": "g", "plugins": {}},
    {"id": 1, "name": "n", "labels": {"a": "b"}, "plugins": {"sticky": {}}},
]


@pytest.mark.parametrize("doc", GOOD)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_consumer_group(doc)


@pytest.mark.parametrize(
    "doc",
    [
        None,
        {},
        {"id": "g"},
        {"plugins": {}},
        {"id": "g", "plugins": {"no-such": {}}},
        {"id": "g", "plugins": {}, "uri": "/"},
    ],
)
def test_it_is_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        check_consumer_group(doc)
