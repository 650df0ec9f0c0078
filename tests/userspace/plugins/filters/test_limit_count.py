from typing import Any

import pytest

from tests.requests import request
from tests.userspace.plugins.counts import Counts
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


RULES = [{"count": "${http_most ?? 2}", "time_window": 60, "key": "${http_user}"}]


@pytest.mark.parametrize(
    ("conf", "fields"),
    [
        ({"rules": RULES}, ["user: jack", "most: many"]),
        ({"rules": RULES}, ["project: p"]),
        ({"count": "$http_most"}, []),
        ({"time_window": "$http_most"}, ["most: 1m"]),
    ],
)
def test_where_no_rule_has_a_number_nobody_passes_unless_limits_may_be_missed(
    conf: dict[str, Any], fields: list[str]
) -> None:
    reply = limit(**conf).access(request("GET", "/", *fields))
    assert isinstance(reply, Reply) and reply.status == 500 and b"<h1>500 Internal Server Error</h1>" in reply.body
    assert limit(**conf, allow_degradation=True).access(request("GET", "/", *fields)) is None


def test_a_rule_without_a_number_is_passed_over_where_another_has_one() -> None:
    rules = [*RULES, {"count": 1, "time_window": 60, "key": "${http_host}"}]
    filter = limit(rules=rules)
    assert [status(filter, request("GET", "/", "user: jack", "most: many")) for _ in range(2)] == [200, 503]


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_limit_of_nothing_is_an_error_in_any_case(number: str) -> None:
    one = request("GET", "/", "user: jack", f"most: {number}")
    assert status(limit(rules=RULES, allow_degradation=True), one) == 500


def redis(counts: Counts, **conf: Any) -> LimitCount:
    return limit(Env(counts=counts), **{"policy": "redis", "redis_host": "127.0.0.1", **conf})


def test_counts_in_redis_are_asked_for_and_shown() -> None:
    counts = Counts([1, 59_990], [3, 59_990])
    filter = redis(counts)
    one, response = request(), Response(200, [], False)
    assert counts.decide(filter.access(one)) is None
    filter.header_filter(one, response)
    assert dict(response.headers) == {
        b"X-RateLimit-Limit": b"2",
        b"X-RateLimit-Remaining": b"1",
        b"X-RateLimit-Reset": b"59.99",
    }
    refused = counts.decide(filter.access(request()))
    assert isinstance(refused, Reply) and refused.status == 503


def test_each_rule_is_asked_for_until_one_is_used_up() -> None:
    rules = [{"count": 1, "time_window": 60, "key": f"${{http_{name}}}"} for name in "abc"]
    counts = Counts([1, 60_000], [2, 60_000])
    refused = counts.decide(redis(counts, rules=rules).access(request("GET", "/", "a: 1", "b: 1", "c: 1")))
    assert isinstance(refused, Reply) and len(counts.asked) == 2


def test_while_redis_does_not_answer_a_request_fails_or_passes_as_configured() -> None:
    counts = Counts()
    reply = counts.decide(redis(counts).access(request()))
    assert isinstance(reply, Reply) and (reply.status, reply.body) == (500, b'{"error_msg":"failed to limit count"}\n')
    assert counts.decide(redis(counts, allow_degradation=True).access(request())) is None


def test_with_an_interval_what_is_known_decides_and_what_is_over_tells_redis() -> None:
    counts = Counts([0, 60_000])
    filter = redis(counts, sync_interval=1)
    assert counts.decide(filter.access(request())) is None and filter.access(request()) is None
    filter.close()
    assert [arguments[0] for _, _, arguments in counts.asked] == ["0", "2"]
