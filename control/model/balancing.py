"""How an upstream spreads its requests beyond its `type`: warm-up, zones, panic. Schemas and what is read from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

TYPES: Final = ("roundrobin", "chash", "least_conn", "ewma", "random_two")
"""The ways to pick that gateways serve; the Admin API stores any name, as APISIX does."""

_PERCENT = {"type": "integer", "minimum": 1, "maximum": 100}
# APISIX's field, from after 3.18.
WARM_UP = {
    "type": "object",
    "properties": {
        "slow_start_time_seconds": {"type": "integer", "minimum": 1, "maximum": 86400},
        "min_weight_percent": {**_PERCENT, "default": 10},
        "interval": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 1},
        "aggression": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "default": 1},
        "startup_grace_period_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 0},
    },
    "required": ["slow_start_time_seconds"],
    "additionalProperties": False,
}
# Ours.
ZONE_PREFERENCE = {
    "type": "object",
    "properties": {"spill_over": {"type": "integer", "minimum": 0, "maximum": 100, "default": 70}},
    "additionalProperties": False,
}
PANIC_THRESHOLD = {"type": "integer", "minimum": 0, "maximum": 100}


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How an endpoint that has just come, or come back, gets to its full share. Times in seconds.

    `least`: the share to begin with, 0 to 1. `interval`: how often shares change. `aggression`: above 1 it gets more
    early, below 1 late. `grace`: what comes in this time after a worker began is taken for warm.
    """

    seconds: int
    least: float = 0.1
    interval: int = 1
    aggression: float = 1
    grace: int = 0

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `warm_up_conf`, which its schema has passed."""
        return cls(
            seconds=int(doc["slow_start_time_seconds"]),
            least=doc.get("min_weight_percent", 10) / 100,
            interval=int(doc.get("interval", 1)),
            aggression=doc.get("aggression", 1),
            grace=int(doc.get("startup_grace_period_seconds", 0)),
        )

    def share(self, age: float) -> float:
        """Return what part of its weight counts `age` seconds after an endpoint came; 1 once it is warm.

        Envoy's and APISIX's curve: (age / seconds) ** (1 / aggression), never below `least`, in steps of `interval`.
        """
        if age >= self.seconds:
            return 1.0
        steps = max(1.0, age // self.interval * self.interval)
        return min(1.0, max(self.least, float((steps / self.seconds) ** (1 / self.aggression))))
