"""Health checks: what APISIX's ranges take. What they refuse stands in tests/control/admin/test_bad_input.py."""

from typing import Any

import pytest

from control.model.health import SCHEMA, Active, Checks, Latency, Limits
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


def test_absent_fields_mean_what_apisix_says() -> None:
    checks = Checks.from_json({"active": {}, "passive": {}})
    active, passive = checks.active, checks.passive
    assert (active.type, active.timeout, active.concurrency, active.method, active.path) == ("http", 1, 10, "GET", "/")
    assert (active.host, active.port, active.headers, active.body, active.verify) == (None, None, (), "", True)
    assert (active.healthy_interval, active.unhealthy_interval) == (1, 1)
    limits = active.limits
    assert (limits.successes, limits.http_failures, limits.tcp_failures, limits.timeouts) == (2, 5, 2, 3)
    assert limits.healthy_statuses == {200, 302}
    assert limits.unhealthy_statuses == {429, 404, 500, 501, 502, 503, 504, 505}
    assert passive is not None and not passive.is_tcp and passive.latency is None
    limits = passive.limits
    assert (limits.successes, limits.http_failures, limits.tcp_failures, limits.timeouts) == (5, 5, 2, 7)
    assert limits.healthy_statuses == {*range(200, 209), 226, *range(300, 309)}
    assert limits.unhealthy_statuses == {429, 500, 503}


def test_what_is_given_is_taken() -> None:
    unhealthy = {"interval": 3, "http_statuses": [500.0], "http_failures": 1, "tcp_failures": 1, "timeouts": 1}
    latency = {"factor": 2, "seconds": 0.5, "requests": 5, "eject": 7, "share": 10}
    active = {"type": "tcp", "port": 9, "concurrency": 1, "healthy": {"interval": 2, "successes": 1}}
    checks = Checks.from_json({"active": {**active, "unhealthy": unhealthy}, "passive": {
        "type": "tcp", "unhealthy": {"timeouts": 0, "latency": latency}
    }})  # fmt: skip
    assert (checks.active.healthy_interval, checks.active.unhealthy_interval, checks.active.port) == (2, 3, 9)
    assert checks.active.limits == Limits(frozenset({200, 302}), frozenset({500}), 1, 1, 1, 1)
    assert checks.passive is not None and checks.passive.is_tcp and checks.passive.limits.timeouts == 0
    assert checks.passive.latency == Latency(2, 0.5, 5, 7, 10)


@pytest.mark.parametrize(
    ("doc", "timeout", "concurrency"),
    [({"timeout": 0}, 60, 10), ({"timeout": -1}, 60, 10), ({"concurrency": 0}, 1, 1), ({"concurrency": 9999}, 1, 256)],
)
def test_what_the_schema_lets_through_is_bounded(doc: dict[str, Any], timeout: float, concurrency: int) -> None:
    active = Active.from_json(doc)
    assert (active.timeout, active.concurrency) == (timeout, concurrency)


@pytest.mark.parametrize(
    "latency", [{"factor": 1}, {"seconds": -1}, {"requests": 0}, {"eject": 0}, {"share": 101}, {"shape": 1}]
)
def test_a_wrong_outlier_rule_is_refused(latency: dict[str, Any]) -> None:
    assert check({"active": {}, "passive": {"unhealthy": {"latency": latency}}}) is not None
