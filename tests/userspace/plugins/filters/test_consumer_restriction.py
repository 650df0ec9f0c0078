from types import SimpleNamespace
from typing import Any

import pytest

from control.model.consumer import Consumer
from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said


def access(conf: dict[str, Any], consumer: str | None = "jack", method: str = "GET") -> tuple[int, str]:
    one = request(method)
    if consumer is not None:
        one.consumer, one.consumer_name = Consumer(consumer, group_id="g1"), consumer
    one.route = SimpleNamespace(route=SimpleNamespace(id="r1", service_id="s1", name=""))
    return said(filter_of("consumer-restriction", conf).access(one))


def test_without_what_is_asked_for_it_is_refused() -> None:
    expected = '{"message":"The request is rejected, please check the consumer_name for this request"}\n'
    assert access({"whitelist": ["jack"]}, None) == (401, expected)
    assert access({"blacklist": ["jack"]}, None)[0] == 401


@pytest.mark.parametrize(
    ("conf", "passes"),
    [
        ({"whitelist": ["jack"]}, True),
        ({"whitelist": ["rose"]}, False),
        ({"blacklist": ["jack"]}, False),
        ({"blacklist": ["rose"]}, True),
        ({"type": "consumer_group_id", "whitelist": ["g1"]}, True),
        ({"type": "route_id", "blacklist": ["r1"]}, False),
        ({"type": "service_id", "whitelist": ["s2"]}, False),
        ({"allowed_by_methods": [{"user": "jack", "methods": ["GET"]}]}, True),
        ({"allowed_by_methods": [{"user": "jack", "methods": ["POST"]}]}, False),
        ({"allowed_by_methods": [{"user": "jack", "methods": ["POST"]}, {"user": "jack", "methods": ["GET"]}]}, False),
        ({"allowed_by_methods": [{"user": "rose", "methods": ["POST"]}]}, True),
        ({"whitelist": ["jack"], "allowed_by_methods": [{"user": "jack", "methods": ["POST"]}]}, True),
        ({"whitelist": ["rose"], "allowed_by_methods": [{"user": "jack", "methods": ["GET"]}]}, False),
        ({"whitelist": ["jack"], "blacklist": ["jack"]}, False),
    ],
)
def test_who_may_pass(conf: dict[str, Any], passes: bool) -> None:
    assert (access(conf)[0] == 0) is passes


def test_the_refusal_can_be_worded() -> None:
    assert access({"blacklist": ["jack"]}) == (403, '{"message":"The consumer_name is forbidden."}\n')
    conf = {"type": "route_id", "blacklist": ["r1"], "rejected_code": 401, "rejected_msg": "no"}
    assert access(conf) == (401, '{"message":"no"}\n')
