"""Limits, retry budgets and PROXY protocol of upstreams, read and refused."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.protection import RetryBudget, UpstreamLimits
from control.model.upstream import Upstream


def upstream(**fields: Any) -> Upstream:
    return Upstream.from_json({"type": "roundrobin", "nodes": {"127.0.0.1:80": 1}, **fields}, "u")


def test_an_upstream_without_them_has_no_limits_and_the_usual_budget() -> None:
    plain = upstream()
    assert plain.limits == UpstreamLimits(0, 0, 0)
    assert plain.retry_budget == RetryBudget(20, 10)
    assert plain.proxy_protocol == 0


def test_what_is_given_is_read_and_the_rest_keeps_its_default() -> None:
    given = upstream(limits={"requests": 7}, retry_budget={"percent": 0.5}, proxy_protocol=2)
    assert given.limits == UpstreamLimits(requests=7)
    assert given.retry_budget == RetryBudget(0.5, 10)
    assert given.proxy_protocol == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limits", {"connections": 0}),
        ("limits", {"pending": "many"}),
        ("limits", {"request": 1}),
        ("limits", 5),
        ("retry_budget", {"percent": 101}),
        ("retry_budget", {"min_per_second": -1}),
        ("retry_budget", {"ratio": 0.2}),
        ("proxy_protocol", 3),
        ("proxy_protocol", "v2"),
        ("proxy_protocol", True),
    ],
)
def test_anything_else_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ModelError, match=f'property "{field}"'):
        upstream(**{field: value})
