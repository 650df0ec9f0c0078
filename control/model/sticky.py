"""Session persistence: the route plugin `sticky`, and the keys that its tokens are made with."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.errors import ModelError
from control.model.schema import check_configuration, compile_schema

# ttl: 400 days is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
SCHEMA = {
    "type": "object",
    "properties": {
        "cookie": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "path": {"type": "string", "maxLength": 256, "pattern": "^/[!-:<-~]*$"},
        "ttl": {"type": "integer", "minimum": 1, "maximum": 400 * 86400},
        "secure": {"type": "boolean"},
        "http_only": {"type": "boolean"},
        "same_site": {"type": "string", "enum": ["Strict", "Lax", "None"]},
    },
    "additionalProperties": False,
}

KEY_BYTES = 32

_KEYS_SCHEMA = {
    "type": "object",
    "properties": {"current": {"type": "string"}, "previous": {"type": "string"}},
    "required": ["current"],
    "additionalProperties": False,
}
_check_keys = compile_schema(_KEYS_SCHEMA)


@dataclass(frozen=True, slots=True)
class Sticky:
    """How the cookie looks. `ttl` is Max-Age in seconds; None makes a cookie that ends with the browser session."""

    cookie: str = "UNILB"
    path: str = "/"
    ttl: int | None = None
    secure: bool = False
    http_only: bool = True
    same_site: str | None = None

    @classmethod
    def from_json(cls, conf: Mapping[str, Any]) -> Self:
        """Read a configuration that `plugins.check_plugins` has passed. Raises ModelError."""
        secure = conf.get("secure", False)
        if conf.get("same_site") == "None" and not secure:
            # A browser drops such a cookie: the session would silently not stick.
            raise ModelError(
                "failed to check the configuration of plugin sticky err:"
                ' property "same_site" validation failed: None needs "secure": true'
            )
        return cls(
            cookie=conf.get("cookie", "UNILB"),
            path=conf.get("path", "/"),
            ttl=int(conf["ttl"]) if "ttl" in conf else None,
            secure=secure,
            http_only=conf.get("http_only", True),
            same_site=conf.get("same_site"),
        )


@dataclass(frozen=True, slots=True)
class StickyKeys:
    """Two live keys of 32 bytes: tokens are made with `current`; those of `previous` count until it is dropped."""

    current: bytes
    previous: bytes | None = None

    @classmethod
    def from_json(cls, doc: object) -> Self:
        """Read `{"current": base64, "previous": base64}`, the latter optional. Raises ModelError, without the key."""
        check_configuration(_check_keys, doc)
        assert isinstance(doc, dict)
        previous = _key(doc, "previous") if "previous" in doc else None
        return cls(_key(doc, "current"), previous)

    def to_json(self) -> dict[str, str]:
        """The inverse of `from_json`."""
        doc = {"current": base64.b64encode(self.current).decode()}
        if self.previous is not None:
            doc["previous"] = base64.b64encode(self.previous).decode()
        return doc


def _key(doc: Mapping[str, str], field: str) -> bytes:
    try:
        key = base64.b64decode(doc[field], validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ModelError(
            f'invalid configuration: property "{field}" validation failed: expected {KEY_BYTES} bytes in base64'
        )
    return key
