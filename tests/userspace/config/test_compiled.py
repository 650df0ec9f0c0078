import pytest

from control.model.balancing import WarmUp
from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint, Upstream
from tests.requests import request
from userspace.balancer.build import NOWHERE, Here
from userspace.balancer.least_conn import LeastConn
from userspace.config.compiled import CompiledUpstream, compile_upstream
from userspace.config.live import Live

KEYS = StickyKeys(bytes(32))
ENDPOINTS = (Endpoint("10.0.0.1", 80, 1), Endpoint("10.0.0.2", 80, 1))


def compiled(
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
    keys: StickyKeys | None = KEYS,
    previous: CompiledUpstream | None = None,
    live: Live | None = None,
) -> CompiledUpstream:
    return compile_upstream(Upstream("u1", "roundrobin", endpoints), keys, NOWHERE, 502, previous, live or Live())


def test_what_did_not_change_is_taken_over() -> None:
    first = compiled()
    same = compiled(previous=first)
    assert (same.picker, same.tokens) == (first.picker, first.tokens)
    other_keys = compiled(keys=StickyKeys(bytes(31) + b"x"), previous=first)
    assert other_keys.picker is first.picker
    assert other_keys.tokens is not first.tokens
    fewer = compiled(ENDPOINTS[:1], previous=first)
    assert fewer.picker is not first.picker
    assert fewer.tokens.token_of(ENDPOINTS[1]) is None


def test_an_upstream_that_comes_back_starts_anew() -> None:
    gone = compile_upstream(None, KEYS, NOWHERE, 502, compiled(), Live())
    assert (gone.endpoints, gone.picker.pick(), gone.refusal) == ((), None, 502)
    back = compiled(previous=gone)
    assert back.picker.pick() == ENDPOINTS[0]
    assert back.tokens.token_of(ENDPOINTS[0]) is not None


def down(*addresses: str) -> Live:
    live = Live()
    live.set_down({"u1": addresses})
    return live


def picks(of: CompiledUpstream) -> set[str]:
    return {endpoint.address for _ in range(8) if (endpoint := of.picker.pick()) is not None}


def test_what_is_down_is_not_picked_and_its_tokens_stay() -> None:
    first = compiled()
    second = compiled(previous=first, live=down("10.0.0.1:80"))
    assert picks(second) == {"10.0.0.2:80"} and second.down == {ENDPOINTS[0]}
    assert second.tokens is first.tokens and second.retries == first.retries
    assert second.picker.pick({ENDPOINTS[1]}) is None  # as in APISIX: what is down is no last resort
    third = compiled(previous=second)
    assert picks(third) == {"10.0.0.1:80", "10.0.0.2:80"}


def test_when_all_are_down_all_are_used() -> None:
    found = compiled(live=down("10.0.0.1:80", "10.0.0.2:80"))
    assert picks(found) == {"10.0.0.1:80", "10.0.0.2:80"} and found.down == frozenset()


def test_a_verdict_that_stays_keeps_the_place_in_the_round() -> None:
    first = compiled(live=down("10.0.0.1:80"))
    assert compiled(previous=first, live=down("10.0.0.1:80")).picker is first.picker


def test_a_drained_endpoint_serves_when_the_others_are_down() -> None:
    endpoints = (Endpoint("10.0.0.1", 80, 1), Endpoint("10.0.0.2", 80, 0))
    assert picks(compiled(endpoints)) == {"10.0.0.1:80"}
    assert picks(compiled(endpoints, live=down("10.0.0.1:80"))) == {"10.0.0.2:80"}


def test_names_are_served_by_their_addresses_and_stay_in_the_source() -> None:
    live = Live()
    named = (Endpoint("a.example", 80, 1),)
    waiting = compiled(named, live=live)
    assert [endpoint.host for endpoint in waiting.endpoints] == ["a.example"]
    live.set_addresses({"a.example": ("10.0.0.1", "10.0.0.2")})
    found = compiled(named, live=live)
    assert picks(found) == {"10.0.0.1:80", "10.0.0.2:80"} and found.retries == 1
    assert found.source is not None and found.source.endpoints == named


def test_only_upstreams_with_passive_checks_are_observed() -> None:
    live = Live()

    def passive(checks: object) -> bool:
        upstream = Upstream.from_json({"nodes": {"10.0.0.1:80": 1}, "checks": checks}, "u1")
        return compile_upstream(upstream, None, NOWHERE, 502, None, live).passive is not None

    assert passive({"active": {}, "passive": {}}) and not passive({"active": {}})
    live.is_checking = False
    assert not passive({"active": {}, "passive": {}})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_new_endpoint_warms_up_and_stays_out_of_the_way_of_what_is_taken_over() -> None:
    clock = Clock()
    here = Here(clock=clock, began=1000)
    warm_up = WarmUp(seconds=100)
    one = Upstream("u1", "roundrobin", ENDPOINTS[:1], warm_up=warm_up)
    two = Upstream("u1", "roundrobin", ENDPOINTS, warm_up=warm_up)

    def shares(upstream: Upstream, previous: CompiledUpstream | None) -> tuple[CompiledUpstream, int]:
        made = compile_upstream(upstream, None, here, 502, previous, Live())
        return made, sum(made.picker.pick() == ENDPOINTS[1] for _ in range(110))

    first, _ = shares(one, None)
    young, few = shares(two, first)
    clock.now += 0.4
    same, _ = shares(two, young)
    assert (few, same.picker is young.picker) == (10, True)
    clock.now += 50
    older, more = shares(two, same)
    assert more == pytest.approx(110 / 3, abs=1) and older.cold
    clock.now += 50
    warm, half = shares(two, older)
    assert (half, warm.cold, warm.shares) == (55, {}, {})


def test_what_comes_soon_after_the_worker_began_is_taken_for_warm() -> None:
    clock = Clock()
    warm_up = WarmUp(seconds=100, grace=30)

    def made(endpoints: tuple[Endpoint, ...], previous: CompiledUpstream | None) -> CompiledUpstream:
        upstream = Upstream("u1", "roundrobin", endpoints, warm_up=warm_up)
        return compile_upstream(upstream, None, Here(clock=clock, began=1000), 502, previous, Live())

    first = made(ENDPOINTS[:1], None)
    clock.now += 29
    assert made(ENDPOINTS, first).cold == {}
    clock.now += 1
    assert set(made(ENDPOINTS, first).cold) == {("10.0.0.2", 80)}


def test_a_suspicion_that_was_not_confirmed_cools_nobody() -> None:
    clock = Clock()
    here = Here(clock=clock, began=1000)
    upstream = Upstream("u1", "roundrobin", ENDPOINTS, warm_up=WarmUp(seconds=100))
    live = Live()
    first = compile_upstream(upstream, None, here, 502, None, live)
    live.suspect("u1", "10.0.0.1:80")
    second = compile_upstream(upstream, None, here, 502, first, live)
    live.trust("u1")
    third = compile_upstream(upstream, None, here, 502, second, live)
    assert second.down and not third.down and third.cold == {}
    live.set_down({"u1": ["10.0.0.1:80"]})
    fourth = compile_upstream(upstream, None, here, 502, third, live)
    live.set_down({"u1": []})
    assert compile_upstream(upstream, None, here, 502, fourth, live).cold == {("10.0.0.1", 80): 1000}


def test_only_who_hashes_is_given_a_key() -> None:
    def made(**fields: str) -> CompiledUpstream:
        return compile_upstream(Upstream("u1", endpoints=ENDPOINTS, **fields), None, NOWHERE, 502, None, Live())

    assert made(type="roundrobin", hash_on="header", key="x").key_of is None
    key_of = made(type="chash", hash_on="vars", key="arg_a").key_of
    assert key_of is not None and key_of(request("GET", "/?a=7")) == "7"


def test_a_changed_type_makes_another_picker_that_knows_what_is_under_way() -> None:
    first = compiled()
    conn = compile_upstream(Upstream("u1", "least_conn", ENDPOINTS), None, NOWHERE, 502, first, Live())
    assert isinstance(conn.picker, LeastConn)
    conn.picker.began(ENDPOINTS[0])
    later = compile_upstream(Upstream("u1", "random_two", ENDPOINTS), None, NOWHERE, 502, conn, Live())
    assert {later.picker.pick() for _ in range(20)} == {ENDPOINTS[1]}


@pytest.mark.parametrize(
    ("threshold", "downs", "used"),
    [(None, 1, "1"), (None, 2, "12"), (0, 1, "1"), (0, 2, ""), (50, 1, "1"), (51, 1, "12"), (100, 1, "12")],
)
def test_a_panic_is_when_fewer_than_the_threshold_are_up(threshold: int | None, downs: int, used: str) -> None:
    upstream = Upstream("u1", "roundrobin", ENDPOINTS, panic_threshold=threshold)
    live = down(*["10.0.0.2:80", "10.0.0.1:80"][:downs])
    made = compile_upstream(upstream, None, NOWHERE, 502, None, live)
    assert {address[7] for address in picks(made)} == set(used)
    assert made.is_panic == (len(used) == 2)
    assert made.refusal == 503
