from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.ctl.to_yaml import to_yaml
from control.store.file_format import parse

# What YAML 1.1 and 1.2 disagree about, or people trip over.
TRAPS = [
    *("1e3", "+.5", "0755", "12:34:56", "2020-01-01", "on", "yes", "null", "~", "", "true", "<<", "=", "1_000", "0x1F"),
    *(".inf", "#END", "- a", "a: b", " x ", "a\nb\n", "a\r\nb", "\t", "é", "\u2028", "'", '"', "|", "---", "%", "@"),
]


def back(value: Any) -> Any:
    return parse(to_yaml({"routes": [{"id": value}]}).encode()).items[0].value["id"]


@pytest.mark.parametrize("text", TRAPS)
def test_a_text_that_looks_like_something_else_stays_a_text(text: str) -> None:
    assert back(text) == text
    assert back({text: 1}) == {text: 1}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85\ufeff"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab: -#", max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_whatever_is_written_is_read_back(value: Any) -> None:
    assert back(value) == value


def test_a_certificate_is_written_in_lines() -> None:
    assert to_yaml({"cert": "-----BEGIN\nabc\n-----END\n"}) == "cert: |\n  -----BEGIN\n  abc\n  -----END\n"


def test_the_same_object_twice_makes_no_anchor() -> None:
    one = {"a": 1}
    assert "&" not in to_yaml([one, one])
