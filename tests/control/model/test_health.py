"""Health checks: what APISIX's ranges take. What they refuse stands in tests/control/admin/test_bad_input.py."""

from typing import Any

import pytest

from control.model.health import SCHEMA
from control.model.schema import compile_schema

check = compile_schema(SCHEMA)


@pytest.mark.parametrize(
    "doc",
    [
        {"active": {}},
        {"active": {"type": "tcp", "timeout": 0.5, "port": 1, "host": "a.b"}, "passive": {}},
        {"active": {"http_path": "/s", "healthy": {"interval": 1, "successes": 254, "http_statuses": [200, 599]}}},
        {"active": {"unhealthy": {"http_failures": 1, "tcp_failures": 1, "timeouts": 1}, "req_headers": ["A: b"]}},
        {"active": {}, "passive": {"type": "https", "unhealthy": {"http_failures": 0, "timeouts": 254}}},
    ],
)
def test_it_passes(doc: dict[str, Any]) -> None:
    assert check(doc) is None


@pytest.mark.parametrize("counter", ["http_failures", "tcp_failures", "timeouts"])
def test_only_passive_counters_may_be_zero(counter: str) -> None:
    assert check({"active": {"unhealthy": {counter: 0}}}) is not None
    assert check({"active": {}, "passive": {"unhealthy": {counter: 0}}}) is None
