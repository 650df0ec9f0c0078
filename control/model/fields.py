"""Schemas of single fields that several resources share, and the one text of an id."""

from collections.abc import Mapping
from typing import Any

# Integers outside +-2**53 do not survive every JSON reader.
MAX_INTEGER = 2**53 - 1

ID = {
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-_.]+$"},
        {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER},
    ]
}
NAME = {"type": "string", "minLength": 1, "maxLength": 256}
DESC = {"type": "string", "maxLength": 256}
LABELS = {
    "type": "object",
    "patternProperties": {".*": {"type": "string", "pattern": "^\\S+$", "minLength": 1, "maxLength": 256}},
}
TIMESTAMP = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
HOST = {"type": "string", "pattern": "^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": 86400}
TIMEOUT = {
    "type": "object",
    "properties": {"connect": SECONDS, "send": SECONDS, "read": SECONDS},
    "required": ["connect", "send", "read"],
}
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"]
PLUGINS = {"type": "object"}
SCRIPT = {"type": "string", "minLength": 10, "maxLength": 102400}
CERTIFICATE = {"type": "string", "minLength": 128, "maxLength": 65536}
PRIVATE_KEY = {"type": "string", "minLength": 64, "maxLength": 65536}
_BYTE = "([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
# A client's address or network.
IP: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "ipv4"},
        {"type": "string", "pattern": f"^{_BYTE}\\.{_BYTE}\\.{_BYTE}\\.{_BYTE}/([12]?[0-9]|3[0-2])$"},
        {"type": "string", "format": "ipv6"},
        {
            "type": "string",
            "pattern": "^([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?/[0-9]{1,3}$",
        },
    ]
}

COMMON = {"id": ID, "name": NAME, "desc": DESC, "labels": LABELS, "create_time": TIMESTAMP, "update_time": TIMESTAMP}


def text_of_id(value: str | int | float) -> str:
    """The id as it stands in keys: APISIX stores ids as sent, 1 or "1", and compares their text."""
    return str(int(value)) if isinstance(value, float) else str(value)


def optional_id(doc: Mapping[str, Any], field: str) -> str | None:
    """The text of the id in a field that may be absent."""
    return text_of_id(doc[field]) if field in doc else None
