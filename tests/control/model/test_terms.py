"""Words for schemas."""

from control.model.terms import (
    among,
    any_of,
    choice,
    flag,
    integer,
    items,
    mapping,
    needs,
    number,
    one_of,
    record,
    text,
)


def test_each_word_is_plain_json_schema() -> None:
    assert text(1, 2, "^a", default="a") == {
        **{"type": "string", "minLength": 1, "maxLength": 2, "pattern": "^a", "default": "a"}
    }
    assert text(0) == {"type": "string", "minLength": 0}
    assert choice("a", "b") == {"type": "string", "enum": ["a", "b"]}
    assert integer(1, 5, default=3) == {"type": "integer", "minimum": 1, "maximum": 5, "default": 3}
    assert number(above=0) == {"type": "number", "exclusiveMinimum": 0}
    assert flag(False) == {"type": "boolean", "default": False}
    assert among(1, "a", default=1) == {"enum": [1, "a"], "default": 1}
    assert items(flag(), 1, unique=True) == {
        **{"type": "array", "items": {"type": "boolean"}, "minItems": 1, "uniqueItems": True}
    }
    assert mapping(flag(), "^a", 1) == {
        **{"type": "object", "patternProperties": {"^a": {"type": "boolean"}}, "minProperties": 1}
    }
    assert any_of(needs("a"), one_of(needs("b"))) == {"anyOf": [{"required": ["a"]}, {"oneOf": [{"required": ["b"]}]}]}


def test_a_record_names_what_is_required_secret_and_closed() -> None:
    assert record({"a": flag()}, ["a"], closed=True, encrypt=["a"], title="t") == {
        "type": "object",
        "properties": {"a": {"type": "boolean"}},
        "required": ["a"],
        "encrypt_fields": ["a"],
        "additionalProperties": False,
        "title": "t",
    }
    assert record({}) == {"type": "object", "properties": {}}
