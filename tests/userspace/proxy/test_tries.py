import pytest

from control.model.upstream import Endpoint, Upstream
from userspace.balancer.build import build
from userspace.balancer.sticky import NO_TOKENS
from userspace.config.compiled import CompiledUpstream
from userspace.proxy import failures
from userspace.proxy.tries import Tries

ENDPOINTS = tuple(Endpoint(f"10.0.0.{number}", 80, 1) for number in range(1, 4))
REFUSED = failures.connect_failure(ConnectionRefusedError())


def tries(method: str = "GET", retries: int = 2, retry_timeout: float = 0) -> Tries:
    upstream = Upstream("u", "roundrobin", ENDPOINTS, retries=retries, retry_timeout=retry_timeout)
    return Tries(
        CompiledUpstream(upstream, build(upstream), NO_TOKENS, retries, 503, None), method, build(upstream).pick
    )


def test_each_endpoint_is_tried_once() -> None:
    one = tries(retries=10)
    seen = [ENDPOINTS[0]]
    while one.allow(REFUSED, seen[-1], sent=False, reused=False, elapsed=0):
        following = one.next()
        if following is None:
            break
        seen.append(following)
    assert sorted(seen, key=lambda endpoint: endpoint.host) == list(ENDPOINTS)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_count_endpoints_after_the_first(retries: int) -> None:
    one = tries(retries=retries)
    allowed = 0
    while one.allow(REFUSED, ENDPOINTS[allowed], sent=False, reused=False, elapsed=0):
        allowed += 1
    assert allowed == one.count == retries


def test_a_stale_connection_is_replaced_at_the_same_endpoint_and_costs_no_retry() -> None:
    one = tries(retries=0)
    assert one.allow(failures.CLOSED, ENDPOINTS[1], sent=True, reused=True, elapsed=0)
    assert one.wants_new and one.next() is ENDPOINTS[1]
    assert not one.allow(failures.CLOSED, ENDPOINTS[1], sent=True, reused=False, elapsed=0)


def test_after_a_stale_connection_and_a_refusal_the_next_endpoint_is_asked() -> None:
    one = tries(retries=1)
    assert one.allow(failures.RESET, ENDPOINTS[0], sent=True, reused=True, elapsed=0)
    assert one.allow(REFUSED, ENDPOINTS[0], sent=True, reused=False, elapsed=0)
    assert not one.wants_new and one.next() not in (None, ENDPOINTS[0])
    assert one.count == 2


def test_a_post_that_was_sent_is_not_tried_again() -> None:
    assert not tries("POST").allow(failures.RESET, ENDPOINTS[0], sent=True, reused=True, elapsed=0)
    assert not tries("POST").allow(REFUSED, ENDPOINTS[0], sent=True, reused=False, elapsed=0)
    assert tries("POST").allow(REFUSED, ENDPOINTS[0], sent=False, reused=False, elapsed=0)


def test_time_runs_out() -> None:
    assert tries(retry_timeout=1).allow(REFUSED, ENDPOINTS[0], sent=False, reused=False, elapsed=0.9)
    assert not tries(retry_timeout=1).allow(REFUSED, ENDPOINTS[0], sent=False, reused=False, elapsed=1.1)
