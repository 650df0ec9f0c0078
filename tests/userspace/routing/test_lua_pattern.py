import pytest

from userspace.routing.lua_pattern import translate
from userspace.routing.lua_syntax import LuaError
from userspace.routing.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "text", "taken"),
    [
        ("^%d+$", "123", ("123",)),
        ("^%d+$", "12a", None),
        ("(%a+)%-(%w*)", "x ab-c1 y", ("ab-c1", "ab", "c1")),
        ("a.-b", "xaXbXb", ("aXb",)),
        ("[%d.]+", "v1.2.3", ("1.2.3",)),
        ("[^a-c]", "abcd", ("d",)),
        ("[]x]", "]", ("]",)),
        ("%.%%$", "a.%", (".%",)),
        ("a?b^c$d", "b^c$d", ("b^c$d",)),
        ("%S+", "  ab ", ("ab",)),
        ("%p", "a!", ("!",)),
        ("a.b", "a\nb", ("a\nb",)),
        ("{1}", "{1}", ("{1}",)),
    ],
)
def test_a_pattern_takes_what_lua_would(pattern: str, text: str, taken: tuple[str, ...] | None) -> None:
    assert Pattern(translate(pattern)).groups(text) == taken


@pytest.mark.parametrize("pattern", ["%bxy", "%f[%a]", "%1", "[abc", "%", "[%S]"])
def test_what_is_not_served_is_refused(pattern: str) -> None:
    with pytest.raises(LuaError):
        translate(pattern)
