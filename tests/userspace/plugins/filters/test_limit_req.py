from typing import Any

from tests.requests import request
from tests.userspace.plugins.counts import Counts
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


def test_a_bucket_in_redis_decides_and_who_gets_no_answer_fails_or_passes() -> None:
    counts = Counts([1, b"0.5"], [0, b"2"])
    conf = {"rate": 2, "burst": 1, "key": "remote_addr", "policy": "redis", "redis_host": "127.0.0.1"}

    def decided(**more: Any) -> Outcome:
        filter = build_chain({"limit-req": {**conf, **more}}, Env(counts=counts)).steps[0].filter
        assert isinstance(filter, LimitReq)
        return counts.decide(filter.access(request()))

    assert decided() == Wait(0.25)
    refused, failed = decided(), decided()
    assert isinstance(refused, Reply) and refused.status == 503
    assert isinstance(failed, Reply) and failed.status == 500 and b"<h1>500 " in failed.body
    assert decided(allow_degradation=True) is None
    assert counts.asked[0][2] == ("2", "1")
