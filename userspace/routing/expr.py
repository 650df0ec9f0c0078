"""Expressions over a request, compiled: what `control/model/expr.py` judges, with lua-resty-expr's meaning.

Values are compared as Lua compares them: a text never equals a number, but where the rule names a number (or orders),
a text that reads as one counts as it. A variable that a request does not have is nil: JSON's null.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

import orjson

from userspace.http.footprint import Footprint, of_variable, union
from userspace.http.request import Request
from userspace.http.variables import IN_BODY, getter
from userspace.net import Networks
from userspace.routing.pattern import Pattern

Condition = Callable[[Request], bool]
"""May raise BodyWanted, when it depends on a body that is not there yet."""
_Test = Callable[[Any], bool]
_LOGIC: Final = ("AND", "OR", "!AND", "!OR")

# What Lua's tonumber takes of decimal and hexadecimal numbers.
_NUMBER: Final = re.compile(r"\s*[+-]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")


def compile_expression(rules: list[Any] | str) -> Condition:
    """Return what tells whether a well-formed expression, JSON or parsed, holds for a request. An empty one always
    does.

    Routes that say the same share it. Raises PatternError for a regular expression that is not served.
    """
    return _compile(rules if isinstance(rules, str) else json.dumps(rules, separators=(",", ":")))


@lru_cache(maxsize=4096)
def _compile(rules: str) -> Condition:
    parsed = orjson.loads(rules)
    return _group(parsed) if parsed else lambda request: True


def depends_on_body(rules: list[Any]) -> bool:
    """True when the expression names a variable that stands for a part of the request's body."""
    if rules and isinstance(rules[0], str) and not rules[0].upper().endswith(("AND", "OR")):
        return rules[0].startswith(IN_BODY)
    return any(depends_on_body(rule) for rule in rules if isinstance(rule, list))


def footprint_of(rules: list[Any]) -> Footprint | None:
    """Return on what of a request a well-formed expression depends; None when that can not be watched."""
    if rules and isinstance(rules[0], str) and rules[0].upper() not in _LOGIC:
        return of_variable(rules[0])
    return union(footprint_of(rule) for rule in rules if isinstance(rule, list))


def _group(rules: list[Any]) -> Condition:
    if isinstance(rules[0], list):
        return all_of([_group(rule) for rule in rules])
    logic = rules[0].upper() if isinstance(rules[0], str) else ""
    if logic in _LOGIC:
        parts = [_group(rule) for rule in rules[1:]]
        inner = all_of(parts) if logic.endswith("AND") else _any(parts)
        return (lambda request: not inner(request)) if logic.startswith("!") else inner
    return _rule(rules)


def all_of(parts: list[Condition]) -> Condition:
    """Return what holds when all of `parts` do; at least one."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda request: first(request) and second(request)
    return lambda request: all(part(request) for part in parts)


def _any(parts: list[Condition]) -> Condition:
    return lambda request: any(part(request) for part in parts)


def _rule(rule: list[Any]) -> Condition:
    negated = len(rule) == 4
    if negated:
        rule = [rule[0], *rule[2:]]
    value = getter(rule[0])
    operator, operand = str(rule[1]).lower(), rule[2] if len(rule) > 2 else None
    if operand is None and operator not in _TESTS:
        # The short form of ==, whose operand APISIX reads where it reads operators: in lower case.
        operator, operand = "==", operator
    test = _TESTS[operator](operand)
    if negated:
        return lambda request: not test(value(request))
    return lambda request: test(value(request))


def _equals(operand: Any) -> _Test:
    if _is_number(operand):
        return lambda value: (number := to_number(value)) is not None and number == operand
    if isinstance(operand, list | dict):
        return lambda value: False  # Lua's tables are equal only to themselves
    return partial(_is_same, operand)


def _differs(operand: Any) -> _Test:
    equal = _equals(operand)
    return lambda value: not equal(value)


def _compare(holds: Callable[[float, float], bool], operand: Any) -> _Test:
    bound = to_number(operand)
    if bound is None:
        return lambda value: False
    return lambda value: (number := to_number(value)) is not None and holds(number, bound)


def _matches(ignore_case: bool, operand: Any) -> _Test:
    found = Pattern(operand if isinstance(operand, str) else _lua_text(operand), ignore_case).found
    return lambda value: isinstance(value, str) and found(value)


def _in(operand: Any) -> _Test:
    if not isinstance(operand, list):
        return lambda value: False
    if all(isinstance(item, str) for item in operand):
        members = frozenset(operand)
        return lambda value: isinstance(value, str) and value in members
    return lambda value: value is not None and any(_is_same(item, value) for item in operand)


def _has(operand: Any) -> _Test:
    return lambda value: isinstance(value, list) and any(_is_same(operand, item) for item in value)


def _ipmatch(operand: Any) -> _Test:
    networks = Networks(operand if isinstance(operand, list) else [operand], strict=False)
    return lambda value: isinstance(value, str) and value in networks


_TESTS: Final[dict[str, Callable[[Any], _Test]]] = {
    "==": _equals,
    "~=": _differs,
    ">": partial(_compare, lambda a, b: a > b),
    ">=": partial(_compare, lambda a, b: a >= b),
    "<": partial(_compare, lambda a, b: a < b),
    "<=": partial(_compare, lambda a, b: a <= b),
    "~~": partial(_matches, False),
    "~*": partial(_matches, True),
    "in": _in,
    "has": _has,
    "ipmatch": _ipmatch,
}


def _is_same(one: Any, other: Any) -> bool:
    """Python takes True for 1; Lua does not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lua_text(value: Any) -> str:
    return f"{value:.14g}" if _is_number(value) else ""


def to_number(value: Any) -> float | None:
    """What Lua's tonumber makes of a value: a number, or a text that reads as one; else None."""
    if isinstance(value, str):
        if value.isdecimal() and value.isascii():
            return int(value) if len(value) < 16 else float(value)
        if _NUMBER.fullmatch(value) is None:
            return None
        text = value.strip()
        return float(int(text, 16)) if "x" in text or "X" in text else float(text)
    return value if _is_number(value) else None
