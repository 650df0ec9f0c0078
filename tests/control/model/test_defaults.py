"""Defaults that are in force."""

from typing import Any

from control.model.defaults import as_served, fill
from control.model.terms import integer, items, record


def test_defaults_are_filled_at_every_depth_and_the_original_stays() -> None:
    schema = record({"a": integer(default=1), "b": items(record({"c": integer(default=2)})), "d": record({})})
    value: dict[str, Any] = {"b": [{}, {"c": 3}], "x": 4}
    assert fill(schema, value) == {"a": 1, "b": [{"c": 2}, {"c": 3}], "x": 4}
    assert value == {"b": [{}, {"c": 3}], "x": 4}


def test_a_default_that_is_an_object_is_nobody_elses() -> None:
    schema = record({"a": items(default=[])})
    fill(schema, {})["a"].append(1)
    assert fill(schema, {}) == {"a": []}


def test_an_object_is_shown_with_its_upstream_and_plugins_filled() -> None:
    doc = {
        "upstream": {"nodes": {"127.0.0.1:80": 1}},
        "plugins": {"limit-count": {"count": 1, "time_window": 2}, "x": {}},
    }
    served = as_served("service", doc)
    assert served["upstream"]["nodes"] == [{"host": "127.0.0.1", "port": 80, "weight": 1}]
    assert served["upstream"]["scheme"] == "http"
    assert served["plugins"]["limit-count"]["rejected_code"] == 503
    assert served["plugins"]["limit-count"]["_meta"] == {}
    assert served["plugins"]["x"] == {}
    assert as_served("route", {"uri": "/a"}) == {"uri": "/a", "priority": 0, "status": 1}
    assert as_served("upstream", {"type": "chash"})["type"] == "chash"
