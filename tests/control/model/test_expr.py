"""Expressions: well formed or not, in lua-resty-expr's words."""

from typing import Any

import pytest

from control.model.expr import OPERATORS, check_expression

UNWRAPPED = "rule should be wrapped inside brackets"


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_may_be_negated_and_in_capitals(operator: str) -> None:
    value = "10.0.0.0/8" if operator == "ipmatch" else ["a"]
    assert check_expression([["x", operator, value], ["x", "!", operator.upper(), value]]) is None


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [["arg_a", "b"]],
        [["arg_a", "==", None]],
        [["arg_a", "in"]],
        [["arg_a", 5]],
        [["post_arg.a.b", "~~", "^[a-z]+$"]],
        ["OR", ["a", "==", 1], ["b", "==", 2]],
        ["!and", ["a", "==", 1], ["!OR", ["b", "==", 2], [["c", "<", 3], ["d", "has", 4]]]],
        [["remote_addr", "ipmatch", ["10.0.0.0/8", "::1", "fd00::/8"]]],
    ],
)
def test_it_is_well_formed(rules: Any) -> None:
    assert check_expression(rules) is None


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ("x", UNWRAPPED),
        ({}, UNWRAPPED),
        (["arg_a", "==", "b"], UNWRAPPED),
        ([5], UNWRAPPED),
        ([["a", "==", 1], "b"], UNWRAPPED),
        ([[]], "rule too short"),
        (["AND"], "rule too short"),
        (["AND", ["a", "==", 1]], "rule too short"),
        ([["a"]], "invalid expression"),
        ([["a", None]], "invalid expression"),
        ([[5, "==", 1]], "invalid expression"),
        ([["a", "*=", "b"]], "invalid operator '*='"),
        ([["a", 123, "b"]], "invalid operator '123'"),
        ([["a", "!", "~=~", "b"]], "invalid operator '~=~'"),
        ([["a", "not", "==", "b"]], "bad 'not' expression"),
        ([["a", "ipmatch", "10.0.0.300"]], "invalid ip address"),
        ([["a", "ipmatch", []]], "invalid ip address"),
        ([["a", "ipmatch", ["::1", 5]]], "invalid ip address"),
        ([["a", "ipmatch"]], "invalid ip address"),
        (["OR", ["a", "==", 1], ["AND", ["b", "==", 2], ["c", "?", 3]]], "invalid operator '?'"),
    ],
)
def test_it_is_refused(rules: Any, error: str) -> None:
    assert check_expression(rules) == error
