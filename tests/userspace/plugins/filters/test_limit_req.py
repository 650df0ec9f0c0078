from typing import Any

from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.limit_req import LimitReq
from userspace.plugins.outcome import Outcome, Reply, Wait


def limit(clock: list[float], **conf: Any) -> LimitReq:
    conf = {"rate": 2, "burst": 1, "key": "remote_addr", **conf}
    filter = build_chain({"limit-req": conf}, Env(clock=lambda: clock[0])).steps[0].filter
    assert isinstance(filter, LimitReq)
    return filter


def outcomes(filter: LimitReq, times: int) -> list[Outcome]:
    return [filter.access(request()) for _ in range(times)]


def test_what_comes_early_waits_and_what_comes_far_too_early_is_refused() -> None:
    first, second, third = outcomes(limit([5.0]), 3)
    assert first is None and second == Wait(0.5)
    assert isinstance(third, Reply) and third.status == 503


def test_without_delay_it_passes_at_once() -> None:
    first, second, third = outcomes(limit([5.0], nodelay=True, rejected_msg="slow"), 3)
    assert (first, second) == (None, None)
    assert isinstance(third, Reply) and third.body == b'{"error_msg":"slow"}\n'


def test_the_bucket_runs_empty_at_the_rate_and_a_refused_request_is_not_in_it() -> None:
    clock = [5.0]
    filter = limit(clock)
    outcomes(filter, 4)
    clock[0] += 0.5
    assert outcomes(filter, 1) == [Wait(0.5)]
    clock[0] += 10
    assert outcomes(filter, 2) == [None, Wait(0.5)]


def test_a_redis_server_is_refused_by_name() -> None:
    assert LimitReq.unserved({"policy": "redis"}) is not None
