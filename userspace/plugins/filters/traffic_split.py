"""traffic-split: shares of the requests go to other upstreams than the route's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from control.model.upstream import Upstream
from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.limit import scope
from userspace.plugins.outcome import Outcome
from userspace.routing.expr import Condition, compile_expression

_ITS_OWN: Final = None
"""The route's upstream, where a choice names none."""


class Rule(NamedTuple):
    """`matches`: one of these must hold; none at all: always."""

    matches: list[Condition]
    turns: "Turns"


class TrafficSplit(Filter):
    NAME = "traffic-split"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._leased: list[str] = []
        self._scope = scope(conf)
        try:
            self._rules = [self._rule(number, rule) for number, rule in enumerate(conf.get("rules", ()))]
        except Exception:
            self.close()
            raise

    def access(self, request: Request) -> Outcome:
        for matches, turns in self._rules:
            if not matches or any(condition(request) for condition in matches):
                slot = turns.next()
                if slot is not _ITS_OWN:
                    request.upstream_slot = slot
                return None
        return None

    def close(self) -> None:
        while self._leased:
            assert self.env.slots is not None
            self.env.slots.release(self._leased.pop())

    def _rule(self, number: int, rule: Mapping[str, Any]) -> Rule:
        matches = [compile_expression(match["vars"]) for match in rule.get("match", ()) if "vars" in match]
        if any("vars" not in match for match in rule.get("match", ())):
            matches = []
        choices = rule.get("weighted_upstreams", ({"weight": 1},))
        slots = [self._slot(f"{self._scope}/{number}/{place}", choice) for place, choice in enumerate(choices)]
        return Rule(matches, Turns(slots, [choice.get("weight", 1) for choice in choices]))

    def _slot(self, name: str, choice: Mapping[str, Any]) -> Any:
        slots = self.env.slots
        if slots is None or not ("upstream_id" in choice or "upstream" in choice):
            return _ITS_OWN
        if "upstream_id" in choice:
            id, upstream = str(choice["upstream_id"]), None
        else:
            # No id of a stored upstream has a slash.
            id = f"traffic-split/{name}"
            upstream = replace(Upstream.from_json(choice["upstream"], id), id=id)
        slot = slots.lease(id, upstream)
        self._leased.append(id)
        return slot


class Turns:
    """Smooth weighted turns: of every so many requests each choice gets its share, evenly spread."""

    __slots__ = ("_places", "_slots", "_total", "_weights")

    def __init__(self, slots: Sequence[Any], weights: Sequence[int]) -> None:
        self._slots = slots
        self._weights = weights
        self._total = sum(weights)
        self._places = [0] * len(slots)

    def next(self) -> Any:
        if self._total == 0:
            return _ITS_OWN
        places = self._places
        best = -1
        for index, weight in enumerate(self._weights):
            places[index] += weight
            if weight and (best < 0 or places[index] > places[best]):
                best = index
        places[best] -= self._total
        return self._slots[best]
