"""JSON Schema (the draft-7 subset that our schemas use), with the error texts of APISIX's validator.

`compile_schema(schema)` returns a Check: value in, None or the first error out. Nothing is changed, no default filled.
Order of the keywords, and so which error is first, is that of APISIX: type, object, array, string, number, enum, then
the combinators (schema_combine.py), which see an object with its defaults. Properties are checked in the order of the
schema.

Differences, on purpose: `$` never matches before a trailing newline, and `[]` is not an object nor `{}` an array.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from control.model.errors import ModelError
from control.model.lua_text import number, quote, type_of
from control.model.schema_combine import COMBINATORS, combine

Schema = Mapping[str, Any]
Check = Callable[[Any], str | None]
Compile = Callable[[Schema], Check]

_IS_TYPE: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: not isinstance(v, bool) and (isinstance(v, int) or (isinstance(v, float) and v.is_integer())),
}
_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"),
    *("dependencies", "items", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const", "contains"),
    *COMBINATORS,
    *("default", "title", "description", "$comment", "encrypt_fields"),
}
# A string that starts so stands for a value that gateways fetch: whatever a schema says, it is accepted.
_REFERENCES = ("$secret://", "$env://", "$ENV://")
_SIZES: tuple[tuple[str, type[Any], Callable[[Any, int], bool], str], ...] = (
    ("minProperties", dict, lambda v, n: len(v) < n, "expect object to have at least {0} properties"),
    ("maxProperties", dict, lambda v, n: len(v) > n, "expect object to have at most {0} properties"),
    ("minItems", list, lambda v, n: len(v) < n, "expect array to have at least {0} items"),
    ("maxItems", list, lambda v, n: len(v) > n, "expect array to have at most {0} items"),
    ("minLength", str, lambda v, n: len(v) < n, "string too short, expected at least {0}, got {1}"),
    ("maxLength", str, lambda v, n: len(v) > n, "string too long, expected at most {0}, got {1}"),
)
_BOUNDS: tuple[tuple[str, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", lambda v, n: v < n, "to be at least"),
    ("exclusiveMinimum", lambda v, n: v <= n, "to be greater than"),
    ("maximum", lambda v, n: v > n, "to be at most"),
    ("exclusiveMaximum", lambda v, n: v >= n, "to be smaller than"),
)


def check_configuration(check: Check, doc: object) -> None:
    """Raise ModelError with the words of the Admin API when `doc` does not match."""
    error = check(doc)
    if error is not None:
        raise ModelError(f"invalid configuration: {error}")


def compile_schema(schema: Schema, references: bool = False) -> Check:
    """Return a Check for `schema`. Raises ValueError for a keyword outside the subset, so that none is ignored.

    `references`: a string such as "$secret://vault/1/key" or "$env://KEY" passes where a string may stand. Not where an
    object, array or number must: what reads those would not survive it.
    """
    unknown = schema.keys() - _KEYWORDS
    if unknown:
        raise ValueError(f"schema keywords not supported: {sorted(unknown)}")
    compile = _compile_with_references if references else compile_schema
    checks = [check for build in _BUILDERS for check in build(schema, compile)]
    combined = combine(schema, compile)
    properties = schema.get("properties", {})
    defaults = {name: sub["default"] for name, sub in properties.items() if "default" in sub} if combined else {}

    # Without a type of its own, a combination lets its parts decide.
    takes_reference = references and "string" in schema.get("type", "" if combined else "string")

    def run(value: Any) -> str | None:
        if takes_reference and isinstance(value, str) and value.startswith(_REFERENCES):
            return None
        for check in checks:
            error = check(value)
            if error is not None:
                return error
        filled = {**defaults, **value} if defaults and isinstance(value, dict) else value
        for check in combined:
            error = check(filled)
            if error is not None:
                return error
        return None

    return run


def on_demand(schema: Schema, references: bool = False) -> Check:
    """Return a Check that is compiled when it is asked first: of two hundred, a process needs a few."""
    compiled: Check | None = None

    def run(value: Any) -> str | None:
        nonlocal compiled
        if compiled is None:
            compiled = compile_schema(schema, references)
        return compiled(value)

    return run


def _compile_with_references(schema: Schema) -> Check:
    return compile_schema(schema, references=True)


def _type(schema: Schema, compile: Compile) -> list[Check]:
    if "type" not in schema:
        return []
    names: list[str] = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    types = [_IS_TYPE[name] for name in names]
    wanted = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return [
        lambda v: None if any(is_type(v) for is_type in types) else f"wrong type: expected {wanted}, got {type_of(v)}"
    ]


def _properties(schema: Schema, compile: Compile) -> list[Check]:
    subs: Mapping[str, Schema] = schema.get("properties", {})
    properties = {name: compile(sub) for name, sub in subs.items()}
    dependencies = {name: _dependency(name, other, compile) for name, other in schema.get("dependencies", {}).items()}
    # What has a default is never missing.
    required = [name for name in schema.get("required", ()) if "default" not in subs.get(name, {})]
    order = list(dict.fromkeys([*properties, *required, *dependencies]))
    if not order:
        return []

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return None
        for name in order:
            if name in value:
                error = properties[name](value[name]) if name in properties else None
                if error is not None:
                    return f'property "{name}" validation failed: {error}'
                error = dependencies[name](value) if name in dependencies else None
                if error is not None:
                    return error
            elif name in required:
                return f'property "{name}" is required'
        return None

    return [check]


def _dependency(name: str, wanted: list[str] | Schema, compile: Compile) -> Check:
    if isinstance(wanted, list):
        return lambda v: next((f'property "{w}" is required when "{name}" is set' for w in wanted if w not in v), None)
    sub = compile(wanted)

    def check(value: Any) -> str | None:
        error = sub(value)
        return None if error is None else f'failed to validate dependent schema for "{name}": {error}'

    return check


def _other_properties(schema: Schema, compile: Compile) -> list[Check]:
    patterns = [(p, _pattern(p), compile(sub)) for p, sub in schema.get("patternProperties", {}).items()]
    known = schema.get("properties", {}).keys()
    others = schema.get("additionalProperties", True)
    is_closed = others is False
    check_other = compile(others) if isinstance(others, dict) else None
    if not patterns and not is_closed and check_other is None:
        return []

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return None
        for name, item in value.items():
            is_matched = False
            for text, regex, sub in patterns:
                if regex.search(name):
                    is_matched = True
                    error = sub(item)
                    if error is not None:
                        return f"failed to validate {name} (matching {quote(text)}): {error}"
            if is_matched or name in known:
                continue
            if is_closed:
                return f"additional properties forbidden, found {name}"
            error = check_other(item) if check_other else None
            if error is not None:
                return f"failed to validate additional property {name}: {error}"
        return None

    return [check]


def _sizes(schema: Schema, compile: Compile) -> list[Check]:
    def bound(kind: type[Any], is_wrong: Callable[[Any, int], bool], limit: int, text: str) -> Check:
        return lambda v: text.format(limit, len(v)) if isinstance(v, kind) and is_wrong(v, limit) else None

    return [bound(kind, wrong, schema[word], text) for word, kind, wrong, text in _SIZES if word in schema]


def _items(schema: Schema, compile: Compile) -> list[Check]:
    checks: list[Check] = []
    if "items" in schema:
        sub = compile(schema["items"])

        def check(value: Any) -> str | None:
            for index, item in enumerate(value if isinstance(value, list) else (), 1):
                error = sub(item)
                if error is not None:
                    return f"failed to validate item {index}: {error}"
            return None

        checks.append(check)
    if "contains" in schema:
        held = compile(schema["contains"])
        checks.append(
            lambda v: (
                "failed to check contains" if isinstance(v, list) and all(held(i) is not None for i in v) else None
            )
        )
    return [*checks, _unique] if schema.get("uniqueItems") else checks


def _unique(value: Any) -> str | None:
    if not isinstance(value, list):
        return None
    # Lists of strings, which may be long, take one pass; anything else is compared pair by pair.
    seen: dict[str, int] = {}
    for index, item in enumerate(value, 1):
        first = seen.setdefault(item, index) if isinstance(item, str) else value.index(item) + 1
        if first != index:
            return f"expected unique items but items {first} and {index} are equal"
    return None


def _pattern(text: str) -> re.Pattern[str]:
    """As PCRE reads it, but `$` never stands before a trailing newline."""
    text = text.replace("[\\p{L}]", "[^\\W\\d_]").replace("\\p{L}\\p{N}_", "\\w").replace("\\z", "\\Z")
    return re.compile(re.sub(r"\$(?=\||$)", r"\\Z", text))


def _string(schema: Schema, compile: Compile) -> list[Check]:
    checks: list[Check] = []
    if "pattern" in schema:
        text: str = schema["pattern"]
        regex = _pattern(text)
        checks.append(
            lambda v: (
                f"failed to match pattern {quote(text)} with {quote(v)}"
                if isinstance(v, str) and not regex.search(v)
                else None
            )
        )
    if "format" in schema:
        name: str = schema["format"]
        parse = {"ipv4": IPv4Address, "ipv6": IPv6Address}[name]

        def check(value: Any) -> str | None:
            try:
                if isinstance(value, str):
                    parse(value)
            except AddressValueError:
                return f"expect valid {name} address but got: {value}"
            return None

        checks.append(check)
    return checks


def _range(schema: Schema, compile: Compile) -> list[Check]:
    is_number = _IS_TYPE["number"]

    def bound(is_wrong: Callable[[Any, Any], bool], limit: float, text: str) -> Check:
        return lambda v: f"expected {number(v)} {text} {number(limit)}" if is_number(v) and is_wrong(v, limit) else None

    return [bound(is_wrong, schema[word], text) for word, is_wrong, text in _BOUNDS if word in schema]


def _values(schema: Schema, compile: Compile) -> list[Check]:
    # bool is an int in Python: `true` must not pass for 1.
    def is_same(a: object, b: object) -> bool:
        return a == b and isinstance(a, bool) == isinstance(b, bool)

    checks: list[Check] = []
    if "enum" in schema:
        allowed = list(schema["enum"])
        checks.append(lambda v: None if any(is_same(v, a) for a in allowed) else "matches none of the enum values")
    if "const" in schema:
        const = schema["const"]
        checks.append(lambda v: None if is_same(v, const) else "failed to check const value")
    return checks


_BUILDERS: tuple[Callable[[Schema, Compile], list[Check]], ...] = (
    *(_type, _properties, _other_properties, _sizes, _items, _string, _range, _values),
)
