"""Session persistence: the route plugin `sticky`, and the keys that its tokens are made with."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from control.model.errors import ModelError
from control.model.schema import check_configuration, on_demand

# The words of each mode, beside when_down and when_drained.
_COOKIE: Final = frozenset({"cookie", "path", "domain", "ttl", "secure", "http_only", "same_site"})
MODES: Final[Mapping[str, frozenset[str]]] = {
    "insert": _COOKIE,
    "rewrite": frozenset({"cookie"}),
    "prefix": frozenset({"cookie"}),
    "app_cookie": _COOKIE,
    "session_id": _COOKIE,
    "header": frozenset({"header"}),
    "source_ip": frozenset({"ipv4_prefix", "ipv6_prefix"}),
    "tls_session": frozenset(),
}
HASHING: Final = frozenset({"app_cookie", "session_id", "header", "source_ip", "tls_session"})
_NEEDS: Final = {"rewrite": "cookie", "prefix": "cookie", "app_cookie": "cookie", "header": "header"}
_ALWAYS: Final = frozenset({"mode", "when_down", "when_drained", "_meta"})

# ttl: 400 days is the longest that browsers keep a cookie (RFC 6265bis section 5.5).
SCHEMA = {
    "type": "object",
    "properties": {
        "mode": {"type": "string", "enum": list(MODES)},
        "cookie": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "path": {"type": "string", "maxLength": 256, "pattern": "^/[!-:<-~]*$"},
        "domain": {"type": "string", "maxLength": 253, "pattern": "^\\.?[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?$"},
        "ttl": {"type": "integer", "minimum": 1, "maximum": 400 * 86400},
        "secure": {"type": "boolean"},
        "http_only": {"type": "boolean"},
        "same_site": {"type": "string", "enum": ["Strict", "Lax", "None"]},
        "header": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "ipv4_prefix": {"type": "integer", "minimum": 1, "maximum": 32},
        "ipv6_prefix": {"type": "integer", "minimum": 1, "maximum": 128},
        "when_down": {"type": "string", "enum": ["repick", "refuse"]},
        "when_drained": {"type": "string", "enum": ["keep", "repick", "refuse"]},
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
_check_keys = on_demand(_KEYS_SCHEMA)


@dataclass(frozen=True, slots=True)
class Sticky:
    """What holds a client to its endpoint, and what happens when that one is down or drained (weight 0).

    `mode`: insert (a cookie of ours), rewrite or prefix (of the endpoint's cookie), app_cookie (the endpoint's cookie
    stays as it is), session_id (a cookie that each client is given, hashed), header, source_ip, tls_session (hashed).
    `ttl` is Max-Age in seconds; None makes a cookie that ends with the browser session. `when_down`: repick, refuse
    (503). `when_drained`: keep, repick, refuse; by header, source_ip and tls_session nobody can tell its clients from
    new ones, so there all is repick.
    """

    cookie: str = "UNILB"
    path: str = "/"
    ttl: int | None = None
    secure: bool = False
    http_only: bool = True
    same_site: str | None = None
    mode: str = "insert"
    domain: str | None = None
    header: str = ""
    ipv4_prefix: int = 32
    ipv6_prefix: int = 128
    when_down: str = "repick"
    when_drained: str = "keep"

    @property
    def hashes(self) -> bool:
        """It needs a ring of the endpoints."""
        return self.mode in HASHING

    @classmethod
    def from_json(cls, conf: Mapping[str, Any]) -> Self:
        """Read a configuration that `plugins.check_plugins` has passed. Raises ModelError."""
        why = problem(conf)
        if why is not None:
            raise ModelError(f"failed to check the configuration of plugin sticky err: {why}")
        given = {field.name: conf[field.name] for field in fields(cls) if field.name in conf}
        for name in ("ttl", "ipv4_prefix", "ipv6_prefix"):
            if name in given:
                given[name] = int(given[name])
        if conf.get("mode") == "session_id":
            given.setdefault("cookie", "SESSIONID")
        return cls(**given)


def problem(conf: Mapping[str, Any]) -> str | None:
    """What is wrong with a configuration that fits the schema; None when nothing is.

    Browsers drop cookies that break the last rules: the session would silently not stick.
    """
    mode = conf.get("mode", "insert")
    for name in conf:
        if name not in MODES[mode] and name not in _ALWAYS:
            return f'property "{name}" validation failed: mode "{mode}" does not use it'
    needed = _NEEDS.get(mode)
    if needed is not None and needed not in conf:
        return f'property "{needed}" is required when "mode" is "{mode}"'
    secure = conf.get("secure", False)
    if conf.get("same_site") == "None" and not secure:
        return 'property "same_site" validation failed: None needs "secure": true'
    if mode == "rewrite" or mode == "prefix":
        return None
    name = conf.get("cookie", "")
    if name.startswith(("__Secure-", "__Host-")) and not secure:
        return f'property "cookie" validation failed: {name.split("-")[0]}- needs "secure": true'
    if name.startswith("__Host-") and ("domain" in conf or conf.get("path", "/") != "/"):
        return 'property "cookie" validation failed: __Host- needs path "/" and no domain'
    return None


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
