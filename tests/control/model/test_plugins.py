"""The plugin registry."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.plugins import PLUGINS, check_plugins, is_disabled


@pytest.mark.parametrize(
    ("plugins", "error"),
    [
        ({"x": {}}, "unknown plugin [x]"),
        ({"sticky": []}, 'invalid plugin conf "[]" for plugin [sticky]'),
        ({"cors": "x"}, 'invalid plugin conf "x" for plugin [cors]'),
        ({"sticky": {"ttl": -1}}, "failed to check the configuration of plugin sticky err: "),
        ({"cors": {"_meta": {"x": 1}}}, "failed to check the configuration of plugin cors err: "),
        (
            {"cors": {"_meta": {"filter": [["a", "?", 1]]}}},
            "failed to validate the 'vars' expression: invalid operator",
        ),
        ({"x": {"_meta": {"disable": True}}}, "unknown plugin [x]"),
    ],
)
def test_a_bad_plugin_is_refused_by_name(plugins: dict[str, Any], error: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_plugins(plugins)
    assert str(refusal.value).startswith(error)


@pytest.mark.parametrize(
    "plugins", [{}, {"sticky": {}}, {"cors": []}, {"sticky": {"x": 1, "_meta": {"disable": True}}}]
)
def test_good_and_disabled_plugins_pass(plugins: dict[str, Any]) -> None:
    check_plugins(plugins)


@pytest.mark.parametrize("conf", [{}, {"_meta": None}, {"_meta": {}}, {"_meta": {"disable": 1}}])
def test_only_true_disables(conf: dict[str, Any]) -> None:
    assert not is_disabled(conf)


def test_a_reference_stands_for_a_secret() -> None:
    check_plugins({"csrf": {"key": "$secret://vault/1/csrf"}, "limit-count": {"count": 1, "time_window": "$env://W"}})


def test_no_plugin_is_named_twice() -> None:
    assert all(name == plugin.name for name, plugin in PLUGINS.items())
