"""Expressions over a request, compiled: what `control/model/expr.py` judges, with lua-resty-expr's meaning."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from userspace.http.request import Request

Condition = Callable[[Request], bool]
_Test = Callable[[str | None], bool]


def compile_expression(rules: list[Any]) -> Condition:
    """Return what tells whether a well-formed expression holds for a request. An empty one always does."""
    if not rules:
        return lambda request: True
    return _group(rules)


def _group(rules: list[Any]) -> Condition:
    if isinstance(rules[0], list):
        return _all([_group(rule) for rule in rules])
    logic = rules[0].upper() if isinstance(rules[0], str) else ""
    if logic in ("AND", "OR", "!AND", "!OR"):
        parts = [_group(rule) for rule in rules[1:]]
        inner = _all(parts) if logic.endswith("AND") else _any(parts)
        return (lambda request: not inner(request)) if logic.startswith("!") else inner
    return _rule(rules)


def _all(parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    return lambda request: all(part(request) for part in parts)


def _any(parts: list[Condition]) -> Condition:
    return lambda request: any(part(request) for part in parts)


def _rule(rule: list[Any]) -> Condition:
    negated = len(rule) == 4
    if negated:
        rule = [rule[0], *rule[2:]]
    name = rule[0]
    operator, value = ("==", rule[1]) if len(rule) == 2 else (str(rule[1]).lower(), rule[2])
    test = _test(operator, value)
    if negated:
        return lambda request: not test(request.var(name))
    return lambda request: test(request.var(name))


def _test(operator: str, value: Any) -> _Test:
    if operator == "==":
        return _equals(value)
    if operator == "~=":
        equal = _equals(value)
        return lambda text: not equal(text)
    if operator in (">", ">=", "<", "<="):
        return _compare(operator, value)
    if operator in ("~~", "~*"):
        search = re.compile(str(value), re.IGNORECASE if operator == "~*" else 0).search
        return lambda text: text is not None and search(text) is not None
    if operator == "in":
        members = frozenset(str(item) for item in value) if isinstance(value, list) else frozenset()
        return lambda text: text in members
    if operator == "ipmatch":
        return _ipmatch(value)
    return lambda text: False  # `has`: no variable of ours is an array


def _equals(value: Any) -> _Test:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return lambda text: (number := _number(text)) is not None and number == value
    return lambda text: text == value


def _compare(operator: str, value: Any) -> _Test:
    bound = _number(str(value))
    tests: dict[str, Callable[[float, float], bool]] = {
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
    }
    holds = tests[operator]
    return lambda text: bound is not None and (number := _number(text)) is not None and holds(number, bound)


def _ipmatch(value: Any) -> _Test:
    networks = [ip_network(item, strict=False) for item in (value if isinstance(value, list) else [value])]

    @lru_cache(maxsize=256)
    def matches(text: str | None) -> bool:
        try:
            address = ip_address(text or "")
        except ValueError:
            return False
        return any(address in network for network in networks)

    return matches


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
