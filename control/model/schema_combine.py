"""The keywords of JSON Schema that are made of other schemas: allOf, anyOf, oneOf, not, if; with APISIX's texts."""

from collections.abc import Callable, Mapping
from typing import Any

_Schema = Mapping[str, Any]
_Check = Callable[[Any], str | None]
_Compile = Callable[[_Schema], _Check]

COMBINATORS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")


def combine(schema: _Schema, compile: _Compile) -> list[_Check]:
    """The checks of these keywords of `schema`, in the order of APISIX; `compile` compiles the schemas inside."""
    return [check for build in (_all_of, _any_of, _one_of, _not, _if) for check in build(schema, compile)]


def _all_of(schema: _Schema, compile: _Compile) -> list[_Check]:
    def numbered(index: int, sub: _Check) -> _Check:
        def check(value: Any) -> str | None:
            error = sub(value)
            return None if error is None else f"allOf {index} failed: {error}"

        return check

    return [numbered(index, compile(sub)) for index, sub in enumerate(schema.get("allOf", ()), 1)]


def _any_of(schema: _Schema, compile: _Compile) -> list[_Check]:
    if "anyOf" not in schema:
        return []
    subs = [compile(sub) for sub in schema["anyOf"]]
    lists = [sub["required"] for sub in schema["anyOf"] if "required" in sub]
    names = " or ".join("[" + ",".join(f'"{name}"' for name in group) + "]" for group in lists)
    text = "object matches none of the required" + (f": {names}" if names else "")
    return [lambda v: None if any(sub(v) is None for sub in subs) else text]


def _one_of(schema: _Schema, compile: _Compile) -> list[_Check]:
    if "oneOf" not in schema:
        return []
    subs = [compile(sub) for sub in schema["oneOf"]]

    def check(value: Any) -> str | None:
        matched = [index for index, sub in enumerate(subs, 1) if sub(value) is None]
        if len(matched) == 1:
            return None
        found = f"both schemas {matched[0]} and {matched[1]}" if matched else "none"
        return f"value should match only one schema, but matches {found}"

    return [check]


def _not(schema: _Schema, compile: _Compile) -> list[_Check]:
    if "not" not in schema:
        return []
    sub = compile(schema["not"])
    return [lambda v: "value wasn't supposed to match schema" if sub(v) is None else None]


def _if(schema: _Schema, compile: _Compile) -> list[_Check]:
    if "if" not in schema:
        return []
    test, then, other = compile(schema["if"]), compile(schema.get("then", {})), compile(schema.get("else", {}))

    def check(value: Any) -> str | None:
        if test(value) is None:
            return "then clause did not match" if then(value) is not None else None
        return "else clause did not match" if other(value) is not None else None

    return [check]
