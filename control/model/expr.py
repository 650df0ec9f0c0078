"""Expressions over a request, `[["arg_a", "==", "b"], ...]`: is one well formed? The language of `vars` and filters.

A rule is `[variable, operator, value]`, `[variable, "!", operator, value]` or `[variable, value]`; rules in a list must
all hold; a list that starts with AND, OR, !AND or !OR joins those that follow.
"""

from ipaddress import ip_network
from typing import Any

LOGIC = frozenset({"AND", "OR", "!AND", "!OR"})
OPERATORS = frozenset({"==", "~=", ">", ">=", "<", "<=", "~~", "~*", "in", "has", "ipmatch"})

_UNWRAPPED = "rule should be wrapped inside brackets"


def check_expression(rules: Any) -> str | None:
    """What is wrong with `rules`, in APISIX's words, or None. An empty list holds for every request."""
    if not isinstance(rules, list):
        return _UNWRAPPED
    if not rules:
        return None
    if not isinstance(rules[0], list) and _upper(rules[0]) not in LOGIC:
        return _UNWRAPPED
    return _check(rules)


def _check(rules: Any) -> str | None:
    if not isinstance(rules, list):
        return _UNWRAPPED
    if not rules:
        return "rule too short"
    if isinstance(rules[0], list):
        return _first_error(rules)
    if _upper(rules[0]) in LOGIC:
        return _first_error(rules[1:]) if len(rules) > 2 else "rule too short"
    return _check_rule(rules)


def _first_error(rules: list[Any]) -> str | None:
    return next((error for error in map(_check, rules) if error is not None), None)


def _check_rule(rule: list[Any]) -> str | None:
    if len(rule) == 4:
        if rule[1] != "!":
            return "bad 'not' expression"
        rule = [rule[0], *rule[2:]]
    variable, operator = rule[0], rule[1] if len(rule) > 1 else None
    if not isinstance(variable, str) or operator is None:
        return "invalid expression"
    is_known = isinstance(operator, str) and operator.lower() in OPERATORS
    if len(rule) == 2 and not is_known:
        # The short form of ==.
        return None
    if not is_known:
        return f"invalid operator '{_text(operator)}'"
    value = rule[2] if len(rule) > 2 else None
    return _check_value(str(operator).lower(), value)


def _check_value(operator: str, value: Any) -> str | None:
    if operator == "ipmatch":
        return None if _are_networks(value if isinstance(value, list) else [value]) else "invalid ip address"
    return None


def _are_networks(values: list[Any]) -> bool:
    try:
        return bool(values) and all(isinstance(value, str) and ip_network(value, strict=False) for value in values)
    except ValueError:
        return False


def _upper(value: Any) -> str:
    return value.upper() if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return value[:64] if isinstance(value, str) else str(value)[:64]
