from typing import Any

import pytest

from tests.requests import request
from userspace.routing.expr import compile_expression

ONE = request("GET", "/x?a=1&b=text&n=10", "X-Real: 10.1.2.3", "Cookie: c=v")


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
    ],
)
def test_an_expression_holds_or_not(rules: list[Any], holds: bool) -> None:
    assert compile_expression(rules)(ONE) is holds
