from typing import Any

import pytest

from tests.requests import request
from userspace.http.request import Request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.limit_count import LimitCount
from userspace.plugins.outcome import Reply
from userspace.plugins.response import Response


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit(env: Env | None = None, parent: str = "/routes/1", **conf: Any) -> LimitCount:
    env = env or Env(clock=Clock())
    conf = conf if "rules" in conf else {"count": 2, "time_window": 60, **conf}
    filter = build_chain({"limit-count": conf}, env, parent=lambda name: parent).steps[0].filter
    assert isinstance(filter, LimitCount)
    return filter


def status(filter: LimitCount, one: Request | None = None) -> int:
    reply = filter.access(one or request())
    return reply.status if isinstance(reply, Reply) else 200


def headers(filter: LimitCount, *fields: str) -> dict[bytes, bytes]:
    one, response = request("GET", "/", *fields), Response(200, [], False)
    filter.access(one)
    filter.header_filter(one, response)
    return dict(response.headers)


def test_a_window_begins_with_its_first_request_and_ends_on_time() -> None:
    clock = Clock()
    filter = limit(Env(clock=clock))
    assert [status(filter) for _ in range(3)] == [200, 200, 503]
    clock.now += 59.9
    assert status(filter) == 503
    clock.now += 0.2
    assert status(filter) == 200


def test_the_quota_is_shown_also_when_nothing_is_left() -> None:
    filter = limit(rejected_code=429)
    shown = [headers(filter) for _ in range(3)]
    assert [one[b"X-RateLimit-Remaining"] for one in shown] == [b"1", b"0", b"0"]
    assert shown[0] == {b"X-RateLimit-Limit": b"2", b"X-RateLimit-Remaining": b"1", b"X-RateLimit-Reset": b"60"}
    assert headers(limit(show_limit_quota_header=False)) == {}


def test_header_names_come_from_the_metadata() -> None:
    env = Env(metadata=lambda plugin: {"limit_header": "X-Most"}, clock=Clock())
    assert headers(limit(env))[b"X-Most"] == b"2"


def test_clients_are_counted_apart_and_routes_too_unless_a_group_joins_them() -> None:
    env = Env(clock=Clock())
    one, two = limit(env, "/routes/1", count=1), limit(env, "/routes/2", count=1)
    assert [status(one), status(two), status(one)] == [200, 200, 503]
    joined = [limit(env, parent, count=1, group="g") for parent in ("/routes/1", "/routes/2")]
    assert [status(filter) for filter in joined] == [200, 503]
    by_arg = limit(count=1, key="arg_u")
    assert [status(by_arg, request(target=f"/?u={user}")) for user in "aba"] == [200, 200, 503]


def test_a_filter_made_anew_of_the_same_configuration_goes_on_counting() -> None:
    env = Env(clock=Clock())
    assert [status(limit(env, count=1)), status(limit(env, count=1)), status(limit(env, count=3))] == [200, 503, 200]


def test_rules_limit_whom_they_know_and_nobody_else_passes() -> None:
    rules = [
        {"count": 1, "time_window": 60, "key": "${http_user}", "header_prefix": "User"},
        {"count": "${http_most ?? 2}", "time_window": 60, "key": "${http_project}"},
    ]
    filter = limit(rules=rules)
    assert headers(filter, "user: jack")[b"X-User-RateLimit-Remaining"] == b"0"
    assert headers(filter, "project: p")[b"X-2-RateLimit-Remaining"] == b"1"
    assert status(filter, request("GET", "/", "user: jack")) == 503
    assert status(filter) == 500
    assert status(limit(rules=rules, allow_degradation=True)) == 200


def test_a_sliding_window_counts_what_it_still_covers_of_the_one_before() -> None:
    clock = Clock()
    clock.now = 1200.0
    filter = limit(Env(clock=clock), count=4, window_type="sliding")
    assert [status(filter) for _ in range(5)] == [200] * 4 + [503]
    clock.now = 1260.0 + 15
    assert [status(filter), status(filter)] == [200, 503]
    clock.now = 1260.0 + 45
    assert [status(filter) for _ in range(3)] == [200, 200, 503]


@pytest.mark.parametrize("policy", ["redis", "redis-cluster", "redis-sentinel"])
def test_other_policies_are_refused_by_name(policy: str) -> None:
    assert LimitCount.unserved({"policy": policy}) is not None and LimitCount.unserved({}) is None
