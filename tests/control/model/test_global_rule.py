"""Global rules as gateways read them."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.global_rule import GlobalRule

PLUGINS = {"sticky": {"ttl": 5}}


def test_plugins_are_read_as_they_are() -> None:
    doc = {"id": 7, "plugins": PLUGINS, "create_time": 1, "update_time": 2}
    assert GlobalRule.from_json(doc) == GlobalRule("7", PLUGINS)


def test_an_id_stands_in_where_the_object_has_none() -> None:
    assert GlobalRule.from_json({"plugins": {}}, "p") == GlobalRule("p", {})


@pytest.mark.parametrize(
    "fields", [{"plugins": None}, {"plugins": {"no-such": {}}}, {"id": "a b"}, {"name": "n"}, {"surprise": 1}]
)
def test_anything_else_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        GlobalRule.from_json({"id": "1", "plugins": {}, **fields})
