from typing import Any

import pytest

from userspace.routing.lua_library import LIBRARY, MAX_TEXT


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("string.lower", ["AbC"], "abc"),
        ("string.upper", ["AbC"], "ABC"),
        ("string.len", ["ü"], 2),
        ("string.sub", ["hello", 2.0], "ello"),
        ("string.sub", ["hello", 2.0, 3.0], "el"),
        ("string.sub", ["hello", -3.0, -2.0], "ll"),
        ("string.sub", ["hello", 0.0, 99.0], "hello"),
        ("string.sub", ["hello", 4.0, 2.0], ""),
        ("string.find", ["hello", "l+"], 3),
        ("string.find", ["hello", "l", 4.0], 4),
        ("string.find", ["a.b", ".", 1.0, True], 2),
        ("string.find", ["hello", "x"], None),
        ("string.match", ["key=val", "(%w+)=(%w+)"], "key"),
        ("string.match", ["key=val", "%w+$"], "val"),
        ("string.match", ["x", "%d"], None),
        ("tonumber", ["0x10"], 16),
        ("tonumber", ["x"], None),
        ("tostring", [None], "nil"),
        ("tostring", [True], "true"),
        ("tostring", [1.5], "1.5"),
        ("tostring", [3.0], "3"),
        ("type", [None], "nil"),
        ("type", [False], "boolean"),
        ("type", ["s"], "string"),
        ("type", [1.0], "number"),
        ("type", [["l"]], "table"),
        ("ngx.re.find", ["/api/v1", r"^/api/v\d+", "jo"], 1),
        ("ngx.re.find", ["ABC", "abc"], None),
        ("ngx.re.match", ["ABC", "abc", "joi"], 1),
    ],
)
def test_a_function_does_what_lua_does(name: str, arguments: list[Any], value: Any) -> None:
    assert LIBRARY[name](*arguments) == value


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("string.lower", [None]),
        ("string.lower", [True]),
        ("string.sub", ["a", "x"]),
        ("string.find", ["a", None]),
        ("string.lower", ["a" * (MAX_TEXT + 1)]),
    ],
)
def test_what_it_cannot_do_is_an_error(name: str, arguments: list[Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        LIBRARY[name](*arguments)
