from typing import Any

import pytest

from tests.requests import request
from userspace.routing.expr import compile_expression, to_number
from userspace.routing.pattern import PatternError

ONE = request("POST", "/x?a=1&b=text&n=10", "X-Real: 10.1.2.3", "Cookie: c=v", "Content-Type: application/json")
ONE.body = b'{"l": ["x", 2, 1], "n": 5}'


@pytest.mark.parametrize(
    ("rules", "holds"),
    [
        ([], True),
        ([["arg_a", "==", "1"]], True),
        ([["arg_a", "1"]], True),
        ([["arg_a", "==", 1]], True),
        ([["arg_a", "~=", "1"]], False),
        ([["arg_none", "==", "1"]], False),
        ([["arg_none", "~=", "1"]], True),
        ([["arg_none", "==", None]], True),
        ([["arg_n", ">", 9], ["arg_n", "<=", 10]], True),
        ([["arg_n", "<", 9]], False),
        ([["arg_b", ">", 9]], False),
        ([["arg_b", "~~", "^te"]], True),
        ([["arg_b", "~*", "^TE"]], True),
        ([["arg_b", "!", "~~", "^te"]], False),
        ([["arg_b", "in", ["x", "text"]]], True),
        ([["http_x_real", "ipmatch", ["10.0.0.0/8"]]], True),
        ([["http_x_real", "ipmatch", "10.2.0.0/16"]], False),
        ([["arg_b", "ipmatch", "10.2.0.0/16"]], False),
        (["OR", ["arg_a", "==", "2"], ["cookie_c", "==", "v"]], True),
        (["AND", ["arg_a", "==", "1"], ["!OR", ["arg_b", "==", "x"], ["arg_b", "==", "y"]]], True),
        (["!AND", ["arg_a", "==", "1"], ["arg_b", "==", "text"]], False),
        (["and", ["arg_a", "==", "1"], ["arg_b", "==", "text"]], True),
        # Compared as Lua compares.
        ([["arg_a", "in", [1, 2]]], False),
        ([["arg_a", "in", ["1", 2]]], True),
        ([["arg_none", "in", [None]]], False),
        ([["arg_a", "in", "1"]], False),
        ([["arg_a", "==", True]], False),
        ([["arg_a", "~=", True]], True),
        ([["arg_a", "==", ["1"]]], False),
        ([["arg_b", "~=", 1]], True),
        ([["arg_none", "~=", None]], False),
        ([["arg_a", "~=", None]], True),
        ([["arg_none", "~~", ".*"]], False),
        ([["arg_none", "!", "~~", ".*"]], True),
        ([["arg_n", ">", "9"]], True),
        ([["arg_n", ">", "nine"]], False),
        ([["arg_n", ">", None]], False),
        ([["arg_b", "TEXT"]], True),
        ([["arg_a", 1]], True),
        ([["arg_a", "has", "1"]], False),
        ([["post_arg.l", "has", "x"]], True),
        ([["post_arg.l", "has", 2]], True),
        ([["post_arg.l", "has", "2"]], False),
        ([["post_arg.l", "HAS", True]], False),
        ([["post_arg.n", "==", 5]], True),
        ([["post_arg.n", "==", "5"]], False),
        ([["post_arg.l", "~~", "x"]], False),
        ([["http_none", "ipmatch", "0.0.0.0/0"]], False),
    ],
)
def test_an_expression_holds_or_not(rules: list[Any], holds: bool) -> None:
    assert compile_expression(rules)(ONE) is holds


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", 10),
        (" -1.5e3 ", -1500),
        ("0x1F", 31),
        (".5", 0.5),
        ("5.", 5),
        ("9" * 20, 1e20),
        (5, 5),
        ("", None),
        ("1_0", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("1e", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_a_text_reads_as_a_number_or_does_not(text: Any, number: float | None) -> None:
    assert to_number(text) == number


def test_a_regular_expression_that_is_not_served_is_named() -> None:
    with pytest.raises(PatternError, match=r"\(\?!x"):
        compile_expression([["arg_a", "==", "1"], ["arg_b", "~~", "(?!x)"]])


def test_routes_that_say_the_same_share_what_it_is_compiled_to() -> None:
    assert compile_expression([["arg_a", "==", "1"]]) is compile_expression([["arg_a", "==", "1"]])


def test_an_integer_beyond_64_bits_is_a_number_like_others() -> None:
    assert compile_expression([["arg_a", "<", 10**30]])(request("GET", "/?a=1"))
