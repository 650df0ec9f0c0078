"""Combinators, defaults, references."""

from typing import Any

import pytest

from control.model.schema import compile_schema

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "value", "error"),
    [
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "then clause did not match"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {}, None),
        ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, "else clause did not match"),
        ({"not": STRING}, "x", "value wasn't supposed to match schema"),
        ({"allOf": [{}, STRING]}, 1, "allOf 2 failed: wrong type: expected string, got number"),
        ({"anyOf": [STRING, {"type": "array"}]}, 1, "object matches none of the required"),
        ({"oneOf": [STRING, {}]}, "x", "value should match only one schema, but matches both schemas 1 and 2"),
        ({"type": "array", "contains": {"const": 1}}, [2], "failed to check contains"),
        ({"dependencies": {"a": {"required": ["b"]}}}, {"a": 1},
         'failed to validate dependent schema for "a": property "b" is required'),
        ({"dependencies": {"a": ["b"]}}, {"a": 1}, 'property "b" is required when "a" is set'),
        ({"additionalProperties": STRING}, {"a": 1},
         "failed to validate additional property a: wrong type: expected string, got number"),
        ({"type": ["string", "array"]}, 1, "wrong type: expected one of string, array, got number"),
    ],
)  # fmt: skip
def test_says_which_combination_fails(schema: dict[str, Any], value: Any, error: str | None) -> None:
    assert compile_schema(schema)(value) == error


def test_combinators_see_defaults_and_nobody_else_does() -> None:
    check = compile_schema(
        {
            "properties": {"policy": {"enum": ["local", "redis"], "default": "local"}, "key": {"default": "k"}},
            "required": ["key"],
            "if": {"properties": {"policy": {"const": "redis"}}},
            "then": {"required": ["host"]},
        }
    )
    conf: dict[str, Any] = {}
    assert check(conf) is None
    assert conf == {}
    assert check({"policy": "redis"}) == "then clause did not match"


@pytest.mark.parametrize("value", ["$secret://vault/1/a", "$env://A", "$ENV://A/b"])
def test_a_reference_stands_for_a_string_only_where_references_may(value: str) -> None:
    schema = {"properties": {"a": {"type": "string", "maxLength": 1}}}
    assert compile_schema(schema, references=True)({"a": value}) is None
    assert compile_schema(schema)({"a": value}) is not None
    assert compile_schema(schema, references=True)({"a": "xy"}) is not None


LOOKED_INTO = [{"type": "object"}, {"type": ["array", "integer"]}, {"anyOf": [{"type": "object"}]}]


@pytest.mark.parametrize("schema", LOOKED_INTO)
def test_a_reference_does_not_stand_for_what_code_would_look_into(schema: dict[str, Any]) -> None:
    assert compile_schema(schema, references=True)("$env://A") is not None
