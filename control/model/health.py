"""Health checks of an upstream, active and passive: their schema, with APISIX's ranges, and what absent fields mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from control.model.fields import HOST, MAX_INTEGER, METHODS, PORT

_STATUSES = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 200, "maximum": 599},
    "uniqueItems": True,
}
_INTERVAL = {"type": "integer", "minimum": 1, "maximum": 86400}


def _count(least: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": 254}


_TYPE = {"type": "string", "enum": ["http", "https", "tcp"]}

ACTIVE = {
    "type": "object",
    "properties": {
        "type": _TYPE,
        "timeout": {"type": "number", "maximum": 86400},
        "concurrency": {"type": "integer", "maximum": MAX_INTEGER},
        "host": HOST,
        "port": PORT,
        "http_method": {"type": "string", "enum": METHODS},
        "http_path": {"type": "string"},
        "http_req_body": {"type": "string"},
        "https_verify_certificate": {"type": "boolean"},
        "healthy": {
            "type": "object",
            "properties": {"interval": _INTERVAL, "http_statuses": _STATUSES, "successes": _count(1)},
        },
        "unhealthy": {
            "type": "object",
            "properties": {
                "interval": _INTERVAL,
                "http_statuses": _STATUSES,
                "http_failures": _count(1),
                "tcp_failures": _count(1),
                "timeouts": _count(1),
            },
        },
        "req_headers": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
}
PASSIVE = {
    "type": "object",
    "properties": {
        "type": _TYPE,
        "healthy": {"type": "object", "properties": {"http_statuses": _STATUSES, "successes": _count(0)}},
        "unhealthy": {
            "type": "object",
            "properties": {
                "http_statuses": _STATUSES,
                "tcp_failures": _count(0),
                "timeouts": _count(0),
                "http_failures": _count(0),
                # Ours: APISIX has no word for it.
                "latency": {
                    "type": "object",
                    "properties": {
                        "factor": {"type": "number", "exclusiveMinimum": 1, "maximum": 1000},
                        "seconds": {"type": "number", "minimum": 0, "maximum": 86400},
                        "requests": {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER},
                        "eject": {"type": "integer", "minimum": 1, "maximum": 86400},
                        "share": {"type": "integer", "minimum": 1, "maximum": 100},
                    },
                    "additionalProperties": False,
                },
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"active": ACTIVE, "passive": PASSIVE},
    "anyOf": [{"required": ["active"]}, {"required": ["active", "passive"]}],
}

TCP_FAILURE, TIMED_OUT = -1, -2
"""What an exchange met that got no HTTP status; 0 is an answer that is no HTTP."""

_WAIT_LIKE_NGINX: Final = 60.0  # seconds: what a time-out of 0 means there
_RUNS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as which outcome, and how many in a row change an endpoint's state; 0: that outcome never does."""

    healthy_statuses: frozenset[int]
    unhealthy_statuses: frozenset[int]
    successes: int
    http_failures: int
    tcp_failures: int
    timeouts: int

    @classmethod
    def from_json(cls, doc: Mapping[str, Any], default: "Limits") -> Self:
        """Read `healthy` and `unhealthy` of a check."""
        healthy, unhealthy = doc.get("healthy", {}), doc.get("unhealthy", {})
        return cls(
            healthy_statuses=frozenset(map(int, healthy.get("http_statuses", default.healthy_statuses))),
            unhealthy_statuses=frozenset(map(int, unhealthy.get("http_statuses", default.unhealthy_statuses))),
            successes=int(healthy.get("successes", default.successes)),
            http_failures=int(unhealthy.get("http_failures", default.http_failures)),
            tcp_failures=int(unhealthy.get("tcp_failures", default.tcp_failures)),
            timeouts=int(unhealthy.get("timeouts", default.timeouts)),
        )


ACTIVE_LIMITS: Final = Limits(
    healthy_statuses=frozenset({200, 302}),
    unhealthy_statuses=frozenset({429, 404, 500, 501, 502, 503, 504, 505}),
    successes=2,
    http_failures=5,
    tcp_failures=2,
    timeouts=3,
)
PASSIVE_LIMITS: Final = Limits(
    healthy_statuses=frozenset({*range(200, 209), 226, *range(300, 309)}),
    unhealthy_statuses=frozenset({429, 500, 503}),
    successes=5,
    http_failures=5,
    tcp_failures=2,
    timeouts=7,
)


@dataclass(frozen=True, slots=True)
class Active:
    """Probes of ours. Times in seconds; `timeout` is of a whole probe, the intervals run from the start of one probe to
    that of the next. `port`: instead of the endpoint's. `concurrency`: probes of this upstream under way at once."""

    type: str
    timeout: float
    concurrency: int
    host: str | None
    port: int | None
    method: str
    path: str
    body: str
    headers: tuple[str, ...]
    verify: bool
    healthy_interval: int
    unhealthy_interval: int
    limits: Limits

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `checks.active`."""
        timeout = doc.get("timeout", 1)
        return cls(
            type=doc.get("type", "http"),
            timeout=timeout if timeout > 0 else _WAIT_LIKE_NGINX,
            concurrency=min(max(1, int(doc.get("concurrency", 10))), _RUNS_AT_ONCE),
            host=doc.get("host"),
            port=int(doc["port"]) if "port" in doc else None,
            method=doc.get("http_method", "GET"),
            path=doc.get("http_path", "/"),
            body=doc.get("http_req_body", ""),
            headers=tuple(doc.get("req_headers", ())),
            verify=doc.get("https_verify_certificate", True),
            healthy_interval=int(doc.get("healthy", {}).get("interval", 1)),
            unhealthy_interval=int(doc.get("unhealthy", {}).get("interval", 1)),
            limits=Limits.from_json(doc, ACTIVE_LIMITS),
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """An endpoint is an outlier when its mean latency over a window of at least `requests` requests is above `seconds`
    and above `factor` times the median of the others. It is left out for `eject` seconds, longer each time in a row,
    while at most `share` percent of the endpoints are."""

    factor: float
    seconds: float
    requests: int
    eject: int
    share: int

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `checks.passive.unhealthy.latency`."""
        return cls(
            factor=doc.get("factor", 3),
            seconds=doc.get("seconds", 0.1),
            requests=int(doc.get("requests", 20)),
            eject=int(doc.get("eject", 30)),
            share=int(doc.get("share", 50)),
        )


@dataclass(frozen=True, slots=True)
class Passive:
    """What real exchanges say. `is_tcp`: statuses say nothing. `latency`: None when outliers are not looked for."""

    is_tcp: bool
    limits: Limits
    latency: Latency | None

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `checks.passive`."""
        latency = doc.get("unhealthy", {}).get("latency")
        return cls(
            is_tcp=doc.get("type") == "tcp",
            limits=Limits.from_json(doc, PASSIVE_LIMITS),
            latency=Latency.from_json(latency) if latency is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Checks:
    """How an upstream's endpoints are checked. There is no passive check without an active one: nothing would bring an
    endpoint back."""

    active: Active
    passive: Passive | None

    @classmethod
    def from_json(cls, doc: Mapping[str, Any]) -> Self:
        """Read `checks`, which its schema has passed."""
        return cls(
            active=Active.from_json(doc["active"]),
            passive=Passive.from_json(doc["passive"]) if "passive" in doc else None,
        )
