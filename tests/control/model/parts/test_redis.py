"""What a policy demands."""

from typing import Any

import pytest

from control.model.parts.redis import redis_if
from control.model.schema import compile_schema
from control.model.terms import choice, record


@pytest.mark.parametrize(
    ("conf", "error"),
    [
        ({}, None),
        ({"policy": "local"}, None),
        ({"policy": "redis"}, "then clause did not match"),
        ({"policy": "redis", "redis_host": "ho"}, None),
        ({"policy": "redis", "redis_host": "ho", "redis_port": 0}, "then clause did not match"),
        ({"policy": "redis-cluster"}, "else clause did not match"),
        ({"policy": "redis-cluster", "redis_cluster_name": "c", "redis_cluster_nodes": ["a:1"]}, None),
        ({"policy": "redis-sentinel"}, "else clause did not match"),
        ({"policy": "redis-sentinel", "redis_master_name": "m", "redis_sentinels": [{"host": "ho", "port": 1}]}, None),
    ],
)
def test_a_policy_demands_its_fields(conf: dict[str, Any], error: str | None) -> None:
    policy = choice("local", "redis", "redis-cluster", "redis-sentinel", default="local")
    assert compile_schema(record({"policy": policy}, **redis_if(sentinel=True)))(conf) == error
