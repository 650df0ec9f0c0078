import sys
from collections.abc import Callable
from types import FrameType

import pytest

from tests.requests import asked
from tests.userspace.config.objects_in_store import Stored, route, sticky_keys, upstream
from userspace.balancer.build import Here
from userspace.balancer.picker import NOBODY
from userspace.config.compile_routing import Router
from userspace.config.compiled import CompiledRoute
from userspace.config.snapshot import EMPTY, apply, replace

Change = tuple[str, bytes | None]
STICKY = {"sticky": {}}
TWO = {"10.0.0.1:80": 1, "10.0.0.2:80": 1}


def change(router: Router, *changes: Change) -> None:
    router.apply(apply(router.snapshot, router.snapshot.revision + 1, changes))


def router_of(*objects: Stored) -> Router:
    router = Router()
    change(router, *objects)
    return router


def match(router: Router, path: str = "/") -> CompiledRoute:
    found = router.match(asked("any.example", path))
    assert found is not None
    return found


def picked(router: Router, path: str = "/") -> str | None:
    endpoint = match(router, path).upstream.picker.pick()
    return endpoint.address if endpoint is not None else None


def test_a_route_is_served_by_its_upstream() -> None:
    router = router_of(route("r1"), upstream(nodes=TWO, retries=3))
    found = match(router)
    assert found.route.id == "r1"
    assert [picked(router) for _ in range(3)] == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"]
    assert (found.upstream.retries, found.upstream.endpoints) == (3, router.snapshot.upstreams["u1"].endpoints)
    assert router.match(asked("any.example", "/none")) is None


def test_retries_default_to_one_less_than_endpoints() -> None:
    assert match(router_of(route("r1"), upstream(nodes=TWO))).upstream.retries == 1
    assert match(router_of(route("r1"), upstream(nodes={}))).upstream.retries == 0


@pytest.mark.parametrize(
    ("objects", "status"),
    [
        ([route("r1")], 502),
        ([route("r1"), upstream(nodes={})], 503),
        ([route("r1", plugins=STICKY)], 503),
        ([route("r1", upstream={"type": "roundrobin", "nodes": {}})], 503),
    ],
    ids=["no such upstream", "no endpoints", "no upstream named", "own upstream without endpoints"],
)
def test_a_route_that_nobody_can_serve_still_matches_and_says_with_what_status(
    objects: list[Stored], status: int
) -> None:
    found = match(router_of(*objects)).upstream
    assert (found.picker.pick(), found.refusal) == (None, status)


def test_an_upstream_may_come_after_and_go_before_its_route() -> None:
    router = router_of(route("r1"))
    assert picked(router) is None
    change(router, upstream())
    assert picked(router) == "10.0.0.1:80"
    change(router, ("/apisix/upstreams/u1", None))
    assert (picked(router), match(router).upstream.refusal) == (None, 502)
    change(router, upstream(nodes={"10.0.0.7:80": 1}))
    assert picked(router) == "10.0.0.7:80"


def test_a_changed_route_leaves_its_old_place() -> None:
    router = router_of(route("r1", "/a", host="x.example"), upstream())
    change(router, route("r1", "/b", priority=5))
    assert router.match(asked("x.example", "/a")) is None
    assert match(router, "/b").route.priority == 5
    change(router, route("r1", "/b", status=0))
    assert router.match(asked("x.example", "/b")) is None
    change(router, route("r1", "/b"))
    assert match(router, "/b")
    change(router, ("/apisix/routes/r1", None))
    assert list(router.table) == []
    assert (router._routes, router._slots) == ({}, {})


def test_an_exchange_keeps_the_upstream_it_began_with() -> None:
    router = router_of(route("r1"), upstream())
    begun = match(router).upstream
    change(router, upstream(nodes={"10.0.0.7:80": 1}))
    assert (begun.endpoints[0].address, picked(router)) == ("10.0.0.1:80", "10.0.0.7:80")


def test_a_picker_keeps_its_place_unless_its_endpoints_changed() -> None:
    router = router_of(route("r1"), upstream(nodes=TWO))
    assert picked(router) == "10.0.0.1:80"
    change(router, upstream(nodes=TWO, retries=5))
    assert (picked(router), match(router).upstream.retries) == ("10.0.0.2:80", 5)
    change(router, route("r1", name="renamed"))
    assert picked(router) == "10.0.0.1:80"
    change(router, upstream(nodes={**TWO, "10.0.0.3:80": 1}))
    assert picked(router) == "10.0.0.1:80"


def test_routes_of_one_upstream_share_its_picker() -> None:
    router = router_of(route("r1", "/a"), route("r2", "/b"), upstream(nodes=TWO))
    assert [picked(router, "/a"), picked(router, "/b")] == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_routes_own_upstream_is_changed_with_it_and_keeps_its_place() -> None:
    own = {"type": "roundrobin", "nodes": TWO}
    router = router_of(route("r1", upstream=own))
    assert picked(router) == "10.0.0.1:80"
    change(router, route("r1", upstream={**own, "retries": 7}))
    assert (picked(router), match(router).upstream.retries) == ("10.0.0.2:80", 7)
    change(router, route("r1"), upstream(nodes={"10.0.0.9:80": 1}))
    assert picked(router) == "10.0.0.9:80"
    assert set(router._slots) == {"u1"}


def test_tokens_are_made_for_sticky_routes_only_and_follow_the_keys() -> None:
    router = router_of(route("r1"), upstream(nodes=TWO), sticky_keys(1))
    endpoint = match(router).upstream.endpoints[1]
    assert match(router).upstream.tokens.token_of(endpoint) is None
    change(router, route("r2", "/sticky", upstream_id="u1", plugins=STICKY))
    first = match(router, "/sticky").upstream.tokens.token_of(endpoint)
    assert first is not None
    change(router, sticky_keys(2, 1))
    tokens = match(router, "/sticky").upstream.tokens
    assert tokens.endpoint_of(first) == endpoint
    assert tokens.token_of(endpoint) not in (None, first)
    change(router, sticky_keys(3, 2))
    assert match(router, "/sticky").upstream.tokens.endpoint_of(first) is None
    change(router, upstream(nodes={"10.0.0.2:80": 1}))
    assert match(router, "/sticky").upstream.tokens.token_of(match(router).upstream.endpoints[0]) is not None


def test_a_sticky_route_may_come_before_keys_and_upstream() -> None:
    router = router_of(route("r1", upstream_id="u1", plugins=STICKY))
    change(router, upstream())
    change(router, sticky_keys(1))
    compiled = match(router).upstream
    assert compiled.tokens.token_of(compiled.endpoints[0]) is not None


def test_the_ring_is_made_once_a_sticky_route_hashes_and_stays_with_the_endpoints() -> None:
    hashing = {"sticky": {"mode": "header", "header": "x"}}
    router = router_of(route("r1", plugins=STICKY, upstream_id="u1"), upstream(nodes=TWO))
    assert match(router).upstream.ring is NOBODY
    change(router, route("r2", "/h", plugins=hashing, upstream_id="u1"))
    ring = match(router).upstream.ring
    assert ring.pick(key="k") is not None and match(router, "/h").upstream.ring is ring
    router.live.set_down({"u1": ["10.0.0.1:80", "10.0.0.3:80"]})
    router.refresh(["u1"])
    change(router, upstream(nodes=TWO, retries=5))
    assert match(router).upstream.ring is ring, "health and other fields are nothing to it"
    change(router, upstream(nodes={**TWO, "10.0.0.4:80": 1}))
    assert match(router).upstream.ring is not ring
    change(router, ("/apisix/upstreams/u1", None))
    assert match(router).upstream.ring is NOBODY
    change(router, upstream(nodes=TWO))
    assert match(router).upstream.ring.pick(key="k") == ring.pick(key="k")


def test_upstreams_in_panic_are_known_until_they_recover_or_go() -> None:
    router = router_of(route("r1", upstream_id="u1"), upstream(nodes=TWO))
    for addresses, panics in (([*TWO], {"u1"}), (["10.0.0.1:80"], set()), ([*TWO], {"u1"})):
        router.live.set_down({"u1": addresses})
        router.refresh(["u1"])
        assert router.panics == panics
    change(router, ("/apisix/routes/r1", None))
    assert router.panics == set()


def test_a_new_endpoint_gets_more_every_second_until_it_is_warm() -> None:
    now = [1000.0]
    router = Router(Here(clock=lambda: now[0]))
    warm_up = {"slow_start_time_seconds": 10, "min_weight_percent": 20}
    change(router, route("r1", upstream_id="u1"), upstream(nodes={"10.0.0.1:80": 1}, warm_up_conf=warm_up))
    change(router, upstream(nodes=TWO, warm_up_conf=warm_up))
    shares = []
    for _ in range(11):
        shares.append(next(iter(match(router).upstream.shares.values()), 1.0))
        now[0] += 1
        router.warm()
    assert shares == [0.2, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    before = match(router).upstream
    router.warm()
    assert match(router).upstream is before, "nobody is cold any more"


def test_the_routes_timeout_outranks_the_upstreams() -> None:
    timeout = {"connect": 1, "send": 2, "read": 3}
    router = router_of(route("r1", "/a", timeout=timeout), route("r2", "/b"), upstream(timeout={**timeout, "read": 9}))
    assert match(router, "/a").timeout_with(match(router, "/a").upstream).read == 3
    assert match(router, "/b").timeout_with(match(router, "/b").upstream).read == 9
    change(router, ("/apisix/upstreams/u1", None))
    assert match(router, "/b").timeout_with(match(router, "/b").upstream).read == 60


def test_any_snapshot_may_follow_any_other() -> None:
    router = router_of(route("r1", "/a"), route("r2", "/b"), upstream())
    skipped = apply(router.snapshot, 2, [("/apisix/routes/r1", None)])
    router.apply(apply(skipped, 3, [route("r3", "/c")]))
    assert router.match(asked("h", "/a")) is None
    assert (match(router, "/b").route.id, match(router, "/c").route.id) == ("r2", "r3")
    router.apply(replace(EMPTY, 9, [route("r2", "/d"), upstream(nodes={"10.0.0.4:80": 1})]))
    assert [found.route.id for found in router.table] == ["r2"]
    assert picked(router, "/d") == "10.0.0.4:80"


def calls(action: Callable[[], object]) -> int:
    """How many functions, C ones included, an action calls."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def test_one_change_costs_the_same_among_10_and_2_000_routes_of_one_upstream() -> None:
    def cost(size: int, stored: Stored) -> int:
        router = router_of(*(route(f"r{number}", f"/{number:04d}/*") for number in range(size)), upstream())
        return calls(lambda: change(router, stored))

    for stored in (route("r5", "/new"), upstream(nodes=TWO), upstream("u2")):
        assert cost(2000, stored) <= cost(10, stored) + 40, stored
