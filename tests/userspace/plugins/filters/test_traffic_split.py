from collections import Counter
from typing import Any

from tests.requests import request
from userspace.plugins.chain import build_chain
from userspace.plugins.env import Env
from userspace.plugins.filters.traffic_split import TrafficSplit, Turns

INLINE = {"type": "roundrobin", "nodes": {"10.0.0.1:80": 1}}


class Slots:
    """Notes what is leased; a slot is its id."""

    def __init__(self) -> None:
        self.leased: dict[str, Any] = {}

    def lease(self, id: str, upstream: Any = None) -> str:
        self.leased[id] = upstream
        return id

    def release(self, id: str) -> None:
        del self.leased[id]


def split(slots: Slots, *rules: Any) -> TrafficSplit:
    filter = build_chain({"traffic-split": {"rules": list(rules)}}, Env(slots=slots)).steps[0].filter
    assert isinstance(filter, TrafficSplit)
    return filter


def chosen(filter: TrafficSplit, times: int = 1, target: str = "/") -> Counter[str | None]:
    found: Counter[str | None] = Counter()
    for _ in range(times):
        one = request(target=target)
        assert filter.access(one) is None
        found[one.upstream_slot] += 1
    return found


def test_shares_are_exact_and_a_choice_without_upstream_is_the_routes() -> None:
    filter = split(Slots(), {"weighted_upstreams": [{"upstream_id": 2, "weight": 3}, {"weight": 1}]})
    assert chosen(filter, 40) == {"2": 30, None: 10}


def test_the_first_rule_of_which_a_match_holds_counts() -> None:
    filter = split(
        Slots(),
        {
            "match": [{"vars": [["arg_a", "==", "1"]]}, {"vars": [["arg_a", "==", "2"]]}],
            "weighted_upstreams": [{"upstream_id": "x"}],
        },
        {"match": [{"vars": [["arg_b", "==", "1"]]}], "weighted_upstreams": [{"upstream_id": "y"}]},
    )
    slots = [next(iter(chosen(filter, target=target))) for target in ("/?a=1&b=1", "/?a=2", "/?b=1", "/")]
    assert slots == ["x", "x", "y", None]


def test_upstreams_of_its_own_are_leased_and_given_back() -> None:
    slots = Slots()
    filter = split(slots, {"weighted_upstreams": [{"upstream": INLINE}, {"upstream": INLINE, "weight": 0}]})
    assert len(slots.leased) == 2
    [id] = chosen(filter, 5)
    assert id is not None and slots.leased[id].endpoints[0].address == "10.0.0.1:80"
    filter.close()
    assert slots.leased == {}


def test_turns_are_spread_and_without_any_weight_the_route_serves() -> None:
    turns = Turns(["a", "b"], [2, 1])
    assert [turns.next() for _ in range(6)] == ["a", "b", "a", "a", "b", "a"]
    assert Turns(["a"], [0]).next() is None
