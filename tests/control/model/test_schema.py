"""The validator: every keyword, with the words of APISIX."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.lua_text import quote
from control.model.schema import check_configuration, compile_schema

STRING = {"type": "string"}
A_OR_B = [{"required": ["a"]}, {"required": ["b"]}]

ROWS: list[tuple[dict[str, Any], Any, str | None]] = [
    ({}, object(), None),
    ({"type": "object"}, {}, None),
    ({"type": "object"}, [], "wrong type: expected object, got table"),
    ({"type": "array"}, [], None),
    ({"type": "array"}, {}, "wrong type: expected array, got table"),
    ({"type": "string"}, "", None),
    ({"type": "string"}, 1, "wrong type: expected string, got number"),
    ({"type": "string"}, True, "wrong type: expected string, got boolean"),
    ({"type": "string"}, None, "wrong type: expected string, got userdata"),
    ({"type": "string"}, {}, "wrong type: expected string, got table"),
    ({"type": "boolean"}, False, None),
    ({"type": "boolean"}, 0, "wrong type: expected boolean, got number"),
    ({"type": "number"}, 1.5, None),
    ({"type": "number"}, True, "wrong type: expected number, got boolean"),
    ({"type": "integer"}, 5.0, None),
    ({"type": "integer"}, 5.5, "wrong type: expected integer, got number"),
    ({"type": "integer"}, False, "wrong type: expected integer, got boolean"),
    ({"type": "integer"}, "5", "wrong type: expected integer, got string"),
    ({"properties": {"a": STRING}}, {}, None),
    ({"properties": {"a": STRING}}, "no object", None),
    (
        {"properties": {"a": STRING}},
        {"a": 1},
        'property "a" validation failed: wrong type: expected string, got number',
    ),
    (
        {"properties": {"a": {"properties": {"b": STRING}}}},
        {"a": {"b": 1}},
        'property "a" validation failed: property "b" validation failed: wrong type: expected string, got number',
    ),
    ({"required": ["a"]}, {}, 'property "a" is required'),
    ({"required": ["a"]}, {"a": None}, None),
    ({"required": ["a"], "properties": {"b": STRING, "a": STRING}}, {"b": 1}, 'property "b" validation failed: wrong'),
    ({"additionalProperties": False}, {}, None),
    ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, None),
    ({"additionalProperties": False}, {"foo": 1}, "additional properties forbidden, found foo"),
    ({"patternProperties": {"^x": STRING}}, {"y": 1}, None),
    (
        {"patternProperties": {"^x": STRING}},
        {"x": 1},
        'failed to validate x (matching "^x"): wrong type: expected string, got number',
    ),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x": 1}, None),
    ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"y": 1}, "additional properties forbidden"),
    ({"minProperties": 1}, {}, "expect object to have at least 1 properties"),
    ({"maxProperties": 1}, {"a": 1, "b": 1}, "expect object to have at most 1 properties"),
    ({"properties": {"a": {}}, "dependencies": {"a": ["b"]}}, {"b": 1}, None),
    ({"properties": {"a": {}}, "dependencies": {"a": ["b"]}}, {"a": 1}, 'property "b" is required when "a" is set'),
    ({"items": STRING}, ["a"], None),
    ({"items": STRING}, "no list", None),
    ({"items": STRING}, ["a", 1], "failed to validate item 2: wrong type: expected string, got number"),
    ({"minItems": 1}, [], "expect array to have at least 1 items"),
    ({"maxItems": 1}, [1, 2], "expect array to have at most 1 items"),
    ({"uniqueItems": True}, [1, "1", {"a": 1}], None),
    ({"uniqueItems": True}, ["a", "b", "a"], "expected unique items but items 1 and 3 are equal"),
    ({"uniqueItems": True}, [{"a": 1}, 2, {"a": 1}], "expected unique items but items 1 and 3 are equal"),
    ({"minLength": 2}, "é", "string too short, expected at least 2, got 1"),
    ({"maxLength": 1}, "ab", "string too long, expected at most 1, got 2"),
    ({"maxLength": 1}, "é", None),
    ({"pattern": "^a+$"}, "aa", None),
    ({"pattern": "^a+$"}, 5, None),
    ({"pattern": "^a+$"}, "b", 'failed to match pattern "^a+$" with "b"'),
    ({"pattern": "^a+$"}, "a\n", 'failed to match pattern "^a+$" with "a\\\n"'),
    ({"pattern": "^a$|^b$"}, "a\n", 'failed to match pattern "^a$|^b$" with "a\\\n"'),
    ({"pattern": "^[$]$"}, "$", None),
    ({"pattern": "\\S"}, '"', None),
    ({"format": "ipv4"}, "1.2.3.4", None),
    ({"format": "ipv4"}, "1.2.3", "expect valid ipv4 address but got: 1.2.3"),
    ({"format": "ipv4"}, "01.2.3.4", "expect valid ipv4 address but got: 01.2.3.4"),
    ({"format": "ipv6"}, "::1", None),
    ({"format": "ipv6"}, "1.2.3.4", "expect valid ipv6 address but got: 1.2.3.4"),
    ({"minimum": 6}, 6, None),
    ({"minimum": 6}, 5, "expected 5 to be at least 6"),
    ({"minimum": 0}, -0.5, "expected -0.5 to be at least 0"),
    ({"minimum": 6}, "text", None),
    ({"maximum": 6}, 7, "expected 7 to be at most 6"),
    ({"exclusiveMinimum": 0}, 0, "expected 0 to be greater than 0"),
    ({"exclusiveMaximum": 1}, 1.0, "expected 1 to be smaller than 1"),
    ({"enum": ["a", 1]}, "a", None),
    ({"enum": ["a", 1]}, 1, None),
    ({"enum": ["a", 1]}, True, "matches none of the enum values"),
    ({"enum": ["a", 1]}, "1", "matches none of the enum values"),
    ({"const": 1}, 1, None),
    ({"const": 1}, True, "failed to check const value"),
    ({"allOf": [{}, STRING]}, 1, "allOf 2 failed: wrong type: expected string, got number"),
    ({"anyOf": [STRING, {"type": "array"}]}, 1, "object matches none of the required"),
    ({"anyOf": A_OR_B}, {"b": 1}, None),
    ({"anyOf": A_OR_B}, {}, 'object matches none of the required: ["a"] or ["b"]'),
    ({"oneOf": A_OR_B}, {"a": 1}, None),
    ({"oneOf": A_OR_B}, {}, "value should match only one schema, but matches none"),
    ({"oneOf": A_OR_B}, {"a": 1, "b": 1}, "value should match only one schema, but matches both schemas 1 and 2"),
    ({"not": STRING}, 1, None),
    ({"not": STRING}, "", "value wasn't supposed to match schema"),
]


@pytest.mark.parametrize(("schema", "value", "error"), ROWS)
def test_a_value_is_judged_in_apisix_words(schema: dict[str, Any], value: Any, error: str | None) -> None:
    found = compile_schema(schema)(value)
    assert found is None if error is None else found is not None and found.startswith(error)


@pytest.mark.parametrize("keyword", ["$ref", "propertyNames", "Type"])
def test_a_keyword_outside_the_subset_is_refused_not_ignored(keyword: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        compile_schema({"properties": {"a": {keyword: {}}}})


def test_the_first_error_is_the_one_told() -> None:
    schema = {"properties": {"a": STRING, "b": STRING}, "additionalProperties": False, "required": ["c"]}
    assert compile_schema(schema)({"x": 1, "b": 1, "a": 1}) == (
        'property "a" validation failed: wrong type: expected string, got number'
    )


def test_a_long_list_of_different_strings_is_judged_in_one_pass() -> None:
    check = compile_schema({"uniqueItems": True})
    assert check([str(n) for n in range(100_000)]) is None


def test_nothing_is_changed_and_no_default_filled() -> None:
    value: dict[str, Any] = {"a": {}}
    compile_schema({"properties": {"a": {"type": "object"}, "b": {"type": "string"}}})(value)
    assert value == {"a": {}}


def test_the_admin_api_puts_two_words_in_front() -> None:
    with pytest.raises(ModelError, match="^invalid configuration: wrong type: expected string, got number$"):
        check_configuration(compile_schema(STRING), 1)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a", '"a"'), ('"', '"\\""'), ("\\", '"\\\\"'), ("\n", '"\\\n"'), ("\r\0", '"\\r\\0"')],
)
def test_text_is_quoted_as_lua_does(text: str, quoted: str) -> None:
    assert quote(text) == quoted
