"""What plugins check beyond their schemas."""

from typing import Any

import pytest

from control.model.parts import checks


@pytest.mark.parametrize("pattern", ["^/a(?<name>b)$", "(?P<n>x)", ""])
def test_good_regular_expressions_pass(pattern: str) -> None:
    assert checks.first_regex_problem([pattern]) is None


@pytest.mark.parametrize("pattern", ["(", "[a", "a**", "(?<n"])
def test_the_bad_regular_expression_is_named(pattern: str) -> None:
    assert str(checks.first_regex_problem(["a", pattern])).startswith(f"invalid regex({pattern}): ")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"a": "b", "c": 1}, None),
        ({"": "b"}, "invalid field length in header"),
        ({"a b": "c"}, "invalid field character in header"),
        ({"set": {"a\n": "c"}}, "invalid field character in header"),
        ({"add": {"a": ["b", "c\r"]}}, "invalid value character in header"),
        ({"remove": ["a"], "add": ["a : b"]}, None),
        ({"set": "a flat header"}, None),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, Any], error: str | None) -> None:
    assert checks.header_problem(headers) == error


def test_addresses_are_ipv4_or_ipv6_networks_or_references() -> None:
    assert checks.address_problem(["::1", "10.0.0.1/8", "$env://ADDRESS"]) is None
    assert checks.address_problem(["10.0.0.0/8", "x"]) == "invalid ip address: x"


def test_base64_is_judged_with_and_without_padding() -> None:
    assert checks.is_base64("YWI") and checks.is_base64("YWI=") and checks.is_base64("$secret://v/1/k")
    assert not checks.is_base64("") and not checks.is_base64("a?") and not checks.is_base64("ü")


def test_expressions_are_named_by_their_field() -> None:
    assert checks.vars_problem(None) is None and checks.log_problem({}) is None
    assert str(checks.vars_problem([["a", "?", 1]])).startswith("failed to validate the 'vars' expression: ")
    found = checks.log_problem({"include_resp_body_expr": [["a", "?", 1]]})
    assert str(found).startswith("failed to validate the 'include_resp_body_expr' expression: ")


def test_lua_must_be_whole_and_return_a_function() -> None:
    assert checks.lua_problem(["return function() end"]) is None
    assert str(checks.lua_problem(["return function("])).startswith("failed to loadstring: ")
    assert checks.lua_problem(["local a = 1"]) == "only accept Lua function, the input code type is nil"


def test_schemas_and_json_are_judged() -> None:
    assert checks.schema_problem({"type": "object"}) is None and checks.json_problem('{"a": "b\n"}') is None
    for schema in ({"type": "nonsense"}, {"$ref": "#"}, [], {"pattern": "("}, {"properties": 1}):
        assert checks.schema_problem(schema) is not None
    assert checks.json_problem("x") == "Expected value but found invalid token at character 1"


def test_whether_a_log_server_is_verified_is_yes_or_no() -> None:
    assert checks.stream_log_problem({}) is None and checks.stream_log_problem({"ssl_verify": True}) is None
    found = checks.stream_log_problem({"ssl_verify": "yes"})
    assert found == 'property "ssl_verify" validation failed: wrong type: expected boolean, got string'
    assert "include_req_body_expr" in (checks.stream_log_problem({"include_req_body_expr": [["a", "?", 1]]}) or "")
