"""What keeps an upstream from being overrun: how much may be under way to it, and how many requests are sent again.

unilb's own fields of an upstream; APISIX has none of the kind. Every worker counts for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

MOST: Final = 1_000_000
_COUNT: Final = {"type": "integer", "minimum": 1, "maximum": MOST}

LIMITS: Final = {
    "type": "object",
    "properties": {"connections": _COUNT, "requests": _COUNT, "pending": _COUNT},
    "additionalProperties": False,
}
RETRY_BUDGET: Final = {
    "type": "object",
    "properties": {
        "percent": {"type": "number", "minimum": 0, "maximum": 100},
        "min_per_second": {"type": "number", "minimum": 0, "maximum": MOST},
    },
    "additionalProperties": False,
}
PROXY_PROTOCOL: Final = {"type": "integer", "enum": [1, 2]}


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """At once, in one worker; 0 for any number. `connections`: to one endpoint. `requests`: to the whole upstream, from
    the first try to the end of the response, tunnels too. `pending`: connections to it that are being opened."""

    connections: int = 0
    requests: int = 0
    pending: int = 0

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `limits` of an upstream, which its schema has passed."""
        return cls(**{name: int(value) for name, value in doc.items()})


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Of requests that an endpoint may have received, so many percent of all are sent again, and `min_per_second`
    whatever the percentage comes to, both over about the last ten seconds."""

    percent: float = 20
    min_per_second: float = 10

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `retry_budget` of an upstream, which its schema has passed."""
        return cls(**doc)
