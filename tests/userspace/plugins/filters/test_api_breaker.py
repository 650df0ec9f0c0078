from typing import Any

from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.api_breaker import ApiBreaker
from userspace.plugins.outcome import Reply
from userspace.plugins.summary import Summary


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, **conf: Any) -> ApiBreaker:
    conf = {"break_response_code": 599, "unhealthy": {"failures": 2}, "healthy": {"successes": 2}, **conf}
    filter = build_chain({"api-breaker": conf}, Env(clock=clock)).steps[0].filter
    assert isinstance(filter, ApiBreaker)
    return filter


def answered(filter: ApiBreaker, *statuses: int, path: str = "/") -> None:
    for status in statuses:
        one = request(target=path)
        one.summary = Summary(status, 0.0, 1.0, 1.0, 0, 0, "10.0.0.1:80", status, None, False)
        filter.log(one, one.summary)


def is_open(filter: ApiBreaker, path: str = "/") -> bool:
    return isinstance(filter.access(request(target=path)), Reply)


def test_it_opens_after_so_many_failures_for_longer_each_time() -> None:
    clock = Clock()
    filter = breaker(clock)
    answered(filter, 500)
    assert not is_open(filter)
    answered(filter, 500)
    assert is_open(filter) and not is_open(filter, "/other")
    clock.now += 2.5
    assert not is_open(filter)
    answered(filter, 500, 500)
    clock.now += 2.5
    assert is_open(filter)
    clock.now += 2
    assert not is_open(filter)


def test_never_for_longer_than_is_said() -> None:
    clock = Clock()
    filter = breaker(clock, max_breaker_sec=3)
    answered(filter, *[500] * 200)
    clock.now += 3.5
    assert not is_open(filter)


def test_successes_in_a_row_close_it_and_other_statuses_say_nothing() -> None:
    clock = Clock()
    filter = breaker(clock)
    answered(filter, 500, 200, 500)
    assert is_open(filter)
    answered(filter, 200, 404)
    assert is_open(filter)
    answered(filter, 200)
    assert not is_open(filter)
    answered(filter, 500)
    assert not is_open(filter)


def test_the_answer_is_what_is_configured() -> None:
    filter = breaker(
        Clock(),
        break_response_body="broken",
        break_response_headers=[{"key": "X-Path", "value": "$uri"}, {"key": "Content-Type", "value": "text/x"}],
    )
    answered(filter, 500, 500)
    reply = filter.access(request())
    assert isinstance(reply, Reply) and (reply.status, reply.body) == (599, b"broken")
    assert reply.headers == ((b"X-Path", b"/"), (b"Content-Type", b"text/x"))
