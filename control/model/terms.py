"""Words to write JSON Schemas with: `record({"n": integer(1, 5, default=3)}, required=["n"])`.

Every function returns a fresh dict of JSON Schema. `default` is what an absent field means; nothing fills it in.
"""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

_ABSENT: Any = object()


def _schema(default: Any = _ABSENT, **words: Any) -> Schema:
    schema = {name: word for name, word in words.items() if word is not None}
    return schema if default is _ABSENT else {**schema, "default": default}


def text(at_least: int | None = None, at_most: int | None = None, pattern: str | None = None, **more: Any) -> Schema:
    """A string of so many characters."""
    return _schema(type="string", minLength=at_least, maxLength=at_most, pattern=pattern, **more)


def choice(*values: str, default: Any = _ABSENT) -> Schema:
    """One of these strings."""
    return _schema(type="string", enum=list(values), default=default)


def integer(
    at_least: int | None = None, at_most: int | None = None, above: int | None = None, default: Any = _ABSENT
) -> Schema:
    """A whole number; `above` excludes its bound."""
    return _schema(type="integer", minimum=at_least, maximum=at_most, exclusiveMinimum=above, default=default)


def number(
    at_least: float | None = None, at_most: float | None = None, above: float | None = None, default: Any = _ABSENT
) -> Schema:
    """Any number; `above` excludes its bound."""
    return _schema(type="number", minimum=at_least, maximum=at_most, exclusiveMinimum=above, default=default)


def flag(default: Any = _ABSENT) -> Schema:
    """true or false."""
    return _schema(type="boolean", default=default)


def items(
    of: Schema | None = None,
    at_least: int | None = None,
    at_most: int | None = None,
    unique: bool | None = None,
    **more: Any,
) -> Schema:
    """An array."""
    return _schema(type="array", items=of, minItems=at_least, maxItems=at_most, uniqueItems=unique, **more)


def record(
    properties: Schema,
    required: Sequence[str] = (),
    *,
    closed: bool = False,
    encrypt: Sequence[str] = (),
    **more: Any,
) -> Schema:
    """An object with these properties. `encrypt`: paths of the fields that are stored encrypted."""
    if closed:
        more["additionalProperties"] = False
    return _schema(
        type="object",
        properties=properties,
        required=list(required) or None,
        encrypt_fields=list(encrypt) or None,
        **more,
    )


def mapping(value: Schema | None = None, keys: str = ".*", at_least: int | None = None, **more: Any) -> Schema:
    """An object whose keys match `keys`, each with a `value`."""
    patterns = None if value is None else {keys: value}
    return _schema(type="object", patternProperties=patterns, minProperties=at_least, **more)


def any_of(*schemas: Schema, **more: Any) -> Schema:
    """At least one of these."""
    return _schema(anyOf=list(schemas), **more)


def one_of(*schemas: Schema, **more: Any) -> Schema:
    """Exactly one of these."""
    return _schema(oneOf=list(schemas), **more)


def needs(*names: str) -> Schema:
    """These properties are there."""
    return {"required": list(names)}


def among(*values: Any, default: Any = _ABSENT) -> Schema:
    """One of these values, of any type."""
    return _schema(enum=list(values), default=default)
