"""Health checks of an upstream, active and passive: their schema, with APISIX's ranges."""

from typing import Any

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
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"active": ACTIVE, "passive": PASSIVE},
    "anyOf": [{"required": ["active"]}, {"required": ["active", "passive"]}],
}
