"""References to secrets in configurations: `$env://NAME` and `$env://NAME/key`, replaced when they are compiled."""

import os
from collections.abc import Mapping
from typing import Any, Final

import orjson

REFERENCES: Final = ("$env://", "$secret://")
_PREFIXES: Final = ("$env://", "$ENV://")


def with_secrets(conf: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Mapping[str, Any]:
    """Return `conf` with every reference replaced that names what is there; others stay as they are written, as in
    APISIX. The same object when there is none."""
    changed: Mapping[str, Any] = _resolved(conf, environ)
    return changed


def has_reference(conf: Mapping[str, Any]) -> bool:
    """True when a value is a reference, to whatever: one that was not replaced must not pass for the secret."""
    return any(isinstance(value, str) and value.lower().startswith(REFERENCES) for value in conf.values())


def _resolved(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _fetched(value, environ) if value.startswith(_PREFIXES) else value
    if isinstance(value, Mapping):
        fresh = {name: _resolved(inner, environ) for name, inner in value.items()}
        return fresh if any(fresh[name] is not inner for name, inner in value.items()) else value
    if isinstance(value, list):
        items = [_resolved(inner, environ) for inner in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _fetched(reference: str, environ: Mapping[str, str]) -> str:
    """`NAME/key` is the text at `key` in the JSON object that the variable holds."""
    name, slash, key = reference[len(_PREFIXES[0]) :].partition("/")
    found = environ.get(name)
    if found is None or not slash:
        return reference if found is None else found
    try:
        inner = orjson.loads(found)
    except orjson.JSONDecodeError:
        return reference
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, str) else reference
