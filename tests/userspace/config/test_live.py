"""What the checker says of endpoints."""

from control.model.upstream import Upstream
from userspace.config.live import Live

TWO = Upstream.from_json({"nodes": {"10.0.0.1:80": 1, "10.0.0.2:80": 1}}, "u")
NAMED = Upstream.from_json({"nodes": {"a.example:80": 1, "b.example:80": 1}}, "n")


def addresses(of: Upstream) -> list[str]:
    return [endpoint.address for endpoint in of.endpoints]


def test_what_is_down_is_found_by_its_address() -> None:
    live = Live()
    live.set_down({"u": ["10.0.0.2:80", "10.9.9.9:80"], "other": ["10.0.0.1:80"]})
    assert live.down_of(TWO) == {TWO.endpoints[1]}
    live.set_down({"u": []})
    assert live.down_of(TWO) == frozenset()


def test_when_all_are_down_none_is() -> None:
    live = Live()
    live.set_down({"u": ["10.0.0.1:80", "10.0.0.2:80"]})
    assert live.down_of(TWO) == frozenset()


def test_a_name_tells_the_upstreams_that_have_it() -> None:
    live = Live()
    assert addresses(live.resolved(NAMED)) == ["a.example:80", "b.example:80"]
    assert live.set_addresses({"a.example": ("10.0.0.1",)}) == {"n"}
    assert addresses(live.resolved(NAMED)) == ["10.0.0.1:80", "b.example:80"]
    assert live.set_addresses({"b.example": ()}) == {"n"}
    assert addresses(live.resolved(NAMED)) == ["10.0.0.1:80"]


def test_a_name_that_nobody_uses_is_forgotten() -> None:
    live = Live()
    live.resolved(NAMED)
    live.set_addresses({"a.example": ("10.0.0.1",)})
    assert live.set_addresses({"a.example": None}) == {"n"}
    assert live.addresses == {} and live.set_addresses({"a.example": ("10.0.0.1",)}) == set()


def test_without_names_nothing_is_remembered() -> None:
    live = Live()
    assert live.resolved(TWO) is TWO and live.set_addresses({"a.example": ("10.0.0.1",)}) == set()


def test_a_suspect_is_down_until_the_checker_speaks_or_it_is_trusted() -> None:
    live = Live()
    assert live.suspect("u", "10.0.0.1:80") and not live.suspect("u", "10.0.0.1:80")
    assert live.down_of(TWO) == {TWO.endpoints[0]}
    live.set_down({"u": ["10.0.0.2:80"]})
    assert live.down_of(TWO) == {TWO.endpoints[1]}
    assert not live.suspect("u", "10.0.0.2:80")
    live.set_down({"u": []})
    live.suspect("u", "10.0.0.1:80")
    live.trust("u")
    assert live.down_of(TWO) == frozenset()


def test_what_the_checker_confirmed_is_known_in_a_panic_too() -> None:
    live = Live()
    live.suspect("u", TWO.endpoints[0].address)
    assert live.confirmed_of(TWO) == frozenset()
    live.set_down({"u": [endpoint.address for endpoint in TWO.endpoints]})
    assert live.confirmed_of(TWO) == set(TWO.endpoints) and live.down_of(TWO) == frozenset()
