from control.model.sticky import StickyKeys
from control.model.upstream import Endpoint, Upstream
from userspace.config.compiled import CompiledUpstream, compile_upstream

KEYS = StickyKeys(bytes(32))
ENDPOINTS = (Endpoint("10.0.0.1", 80, 1), Endpoint("10.0.0.2", 80, 1))


def compiled(
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
    keys: StickyKeys | None = KEYS,
    previous: CompiledUpstream | None = None,
) -> CompiledUpstream:
    return compile_upstream(Upstream("u1", "roundrobin", endpoints), keys, 0, 502, previous)


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
    gone = compile_upstream(None, KEYS, 0, 502, compiled())
    assert (gone.endpoints, gone.picker.pick(), gone.refusal) == ((), None, 502)
    back = compiled(previous=gone)
    assert back.picker.pick() == ENDPOINTS[0]
    assert back.tokens.token_of(ENDPOINTS[0]) is not None
