from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint, Upstream
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
    return compile_upstream(Upstream("u1", "roundrobin", endpoints), keys, 0, 502, previous, live or Live())


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
    gone = compile_upstream(None, KEYS, 0, 502, compiled(), Live())
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
    def passive(checks: object) -> bool:
        upstream = Upstream.from_json({"nodes": {"10.0.0.1:80": 1}, "checks": checks}, "u1")
        return compile_upstream(upstream, None, 0, 502, None, Live()).passive is not None

    assert passive({"active": {}, "passive": {}}) and not passive({"active": {}})
