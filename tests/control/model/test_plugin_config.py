"""Plugin configs as gateways read them."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.plugin_config import PluginConfig

PLUGINS = {"sticky": {"ttl": 5}}


def test_plugins_are_read_as_they_are() -> None:
    doc = {"id": 7, "plugins": PLUGINS, "name": "n", "desc": "d", "labels": {"a": "b"}}
    assert PluginConfig.from_json(doc) == PluginConfig("7", PLUGINS)


def test_an_id_stands_in_where_the_object_has_none() -> None:
    assert PluginConfig.from_json({"plugins": {}}, "p") == PluginConfig("p", {})


@pytest.mark.parametrize(
    "fields", [{"plugins": None}, {"plugins": {"no-such": {}}}, {"id": "a b"}, {"name": 5}, {"surprise": 1}]
)
def test_anything_else_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        PluginConfig.from_json({"id": "1", "plugins": {}, **fields})
