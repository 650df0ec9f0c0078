from typing import Any

from tests.requests import request
from tests.userspace.plugins.counts import Counts
from userspace.http.request import Request
from userspace.plugins.chain import build_chain
from userspace.plugins.count_scripts import ENTER, LEAVE
from userspace.plugins.env import Env
from userspace.plugins.filters.limit_conn import LimitConn
from userspace.plugins.outcome import Outcome, Reply, Wait
from userspace.plugins.summary import Summary


def summary(upstream_ms: float = 0.0, address: str | None = "10.0.0.1:80") -> Summary:
    return Summary(200, 0.0, upstream_ms, upstream_ms, 0, 0, address, 200, None, address is None)


def limit(**conf: Any) -> LimitConn:
    conf = conf if "rules" in conf else {"conn": 1, "burst": 1, "key": "remote_addr", **conf}
    filter = build_chain({"limit-conn": {"default_conn_delay": 0.5, **conf}}, Env()).steps[0].filter
    assert isinstance(filter, LimitConn)
    return filter


def begin(filter: LimitConn, *fields: str) -> tuple[Request, Outcome]:
    one = request("GET", "/", *fields)
    return one, filter.access(one)


def test_more_at_the_same_time_wait_or_are_refused_and_those_that_end_make_room() -> None:
    filter = limit(only_use_default_delay=True)
    (one, first), (_, second), (_, third) = (begin(filter) for _ in range(3))
    assert (first, second) == (None, Wait(0.5))
    assert isinstance(third, Reply) and third.status == 503
    filter.log(one, summary())
    assert begin(filter)[1] == Wait(0.5)


def test_a_refused_request_holds_nothing_and_ends_once() -> None:
    filter = limit(burst=0)
    one, _ = begin(filter)
    refused, reply = begin(filter)
    assert isinstance(reply, Reply)
    filter.log(refused, summary())
    assert isinstance(begin(filter)[1], Reply)
    filter.log(one, summary())
    filter.log(one, summary())
    assert begin(filter)[1] is None and isinstance(begin(filter)[1], Reply)


def test_the_wait_follows_what_requests_take() -> None:
    filter = limit(burst=9)
    one, _ = begin(filter)
    filter.log(one, summary(upstream_ms=1500))
    begin(filter)
    assert begin(filter)[1] == Wait(1.0)


def test_rules_count_apart_and_nobody_else_passes() -> None:
    filter = limit(rules=[{"conn": "${http_most ?? 1}", "burst": 0, "key": "${http_user}"}])
    assert begin(filter, "user: a")[1] is None and begin(filter, "user: b")[1] is None
    assert isinstance(begin(filter, "user: a")[1], Reply)
    reply = begin(filter)[1]
    assert isinstance(reply, Reply) and reply.status == 500


def test_a_limit_of_nothing_is_an_error_in_any_case() -> None:
    filter = limit(rules=[{"conn": "${http_most}", "burst": 0, "key": "${http_user}"}], allow_degradation=True)
    reply = begin(filter, "user: a", "most: 0")[1]
    assert isinstance(reply, Reply) and reply.status == 500
    assert begin(filter, "user: a", "most: many")[1] is None


def test_places_in_redis_are_given_back_and_who_gets_no_answer_fails_or_passes() -> None:
    counts = Counts([1, 1], [1, 2], [0, 3], [1])
    conf = {"conn": 1, "burst": 1, "key": "remote_addr", "policy": "redis", "redis_host": "127.0.0.1", "key_ttl": 60}

    def made(**more: Any) -> LimitConn:
        plugin = {"default_conn_delay": 0.5, **conf, **more}
        filter = build_chain({"limit-conn": plugin}, Env(counts=counts)).steps[0].filter
        assert isinstance(filter, LimitConn)
        return filter

    filter = made()
    begun = [begin(filter) for _ in range(3)]
    first, second, refused = (counts.decide(outcome) for _, outcome in begun)
    assert (first, second) == (None, Wait(0.5)) and isinstance(refused, Reply) and refused.status == 503
    for one, _ in begun:
        filter.log(one, summary())
    assert [script for script, _, _ in counts.asked] == [ENTER] * 3 + [LEAVE] * 2
    assert counts.asked[0][2][:2] == ("2", "60")
    counts.answers.clear()
    failed = counts.decide(begin(filter)[1])
    assert isinstance(failed, Reply) and failed.status == 500
    assert counts.decide(begin(made(allow_degradation=True))[1]) is None
