"""Values in Lua's words."""

import pytest

from control.model.lua_text import number, quote, type_of


def test_quotes_as_percent_q_does() -> None:
    assert quote('a"b\\c\nd\0') == '"a\\"b\\\\c\\\nd\\0"'


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        (None, "userdata"),
        ([], "table"),
        ({}, "table"),
    ],
)
def test_names_the_types_of_lua(value: object, name: str) -> None:
    assert type_of(value) == name


def test_numbers_have_fourteen_digits() -> None:
    assert (number(0.1), number(1e-05), number(2**53)) == ("0.1", "1e-05", "9007199254740992")
