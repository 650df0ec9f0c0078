"""Metadata of plugins."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.plugin_metadata import check_plugin_metadata


@pytest.mark.parametrize(
    ("name", "doc"),
    [("example-plugin", {"id": "example-plugin", "skey": "a", "ikey": 1}), ("cors", {}), ("csrf", {"x": 1})],
)
def test_good_metadata_passes(name: str, doc: dict[str, Any]) -> None:
    check_plugin_metadata(name, doc)


@pytest.mark.parametrize(
    ("name", "doc", "error"),
    [
        ("nobody", {}, "invalid plugin name"),
        ("example-plugin", {"ikey": 1}, 'invalid configuration: property "skey" is required'),
        ("http-logger", {"max_pending_entries": 0}, 'invalid configuration: property "max_pending_entries"'),
    ],
)
def test_bad_metadata_is_refused(name: str, doc: dict[str, Any], error: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_plugin_metadata(name, doc)
    assert str(refusal.value).startswith(error)
