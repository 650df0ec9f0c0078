"""What is read from a plugin's module."""

from types import ModuleType

import pytest

from control.model.plugin import COMMENT, load
from control.model.plugins import PLUGINS
from control.model.terms import integer, record


def module(**names: object) -> ModuleType:
    made = ModuleType("made")
    for name, value in {"NAME": "made", "VERSION": 0.1, "PRIORITY": 1, **names}.items():
        setattr(made, name, value)
    return made


def test_meta_is_a_field_of_every_schema_even_of_a_closed_one() -> None:
    plugin = load(module(SCHEMA=record({"a": integer()}, closed=True)))
    assert plugin.problem({"a": 1, "_meta": {"disable": False}}, "route", PLUGINS) is None
    assert plugin.schemas["route"]["$comment"] == COMMENT
    assert plugin.problem({"b": 1}, "route", PLUGINS) == "additional properties forbidden, found b"


def test_consumers_are_checked_by_the_schema_where_there_is_no_other() -> None:
    plugin = load(module(SCHEMA=record({"a": integer()})))
    assert plugin.problem({"a": "x"}, "consumer", PLUGINS) is not None
    assert "consumer" not in plugin.schemas


def test_the_further_check_comes_after_the_schema() -> None:
    plugin = load(module(SCHEMA=record({"a": integer()}), check=lambda conf: f"odd {conf['a']}"))
    assert plugin.problem({"a": 1}, "route", PLUGINS) == "odd 1"
    assert "wrong type" in str(plugin.problem({"a": "x"}, "route", PLUGINS))


def test_every_schema_of_a_plugin_can_be_checked() -> None:
    for plugin in PLUGINS.values():
        for check in plugin.checks.values():
            check({})  # compiled only now: a keyword that is not supported raises
    with pytest.raises(ValueError, match="not supported"):
        load(module(SCHEMA={"$ref": "#"})).checks["route"]({})
