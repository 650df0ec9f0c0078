import pytest

from userspace.routing.lua_syntax import MAX_LINKS, MAX_NESTING, MAX_SOURCE, LuaError, parse_function


def returned(expression: str) -> object:
    (statement,) = parse_function(f"function(vars) return {expression} end").body
    return statement[1]


@pytest.mark.parametrize(
    ("expression", "tree"),
    [
        ("1 + 2 * 3", ("binary", "+", ("constant", 1), ("binary", "*", ("constant", 2), ("constant", 3)))),
        ("1 - 2 - 3", ("binary", "-", ("binary", "-", ("constant", 1), ("constant", 2)), ("constant", 3))),
        ("2 ^ 3 ^ 2", ("binary", "^", ("constant", 2), ("binary", "^", ("constant", 3), ("constant", 2)))),
        ("-2 ^ 2", ("-", ("binary", "^", ("constant", 2), ("constant", 2)))),
        ("not a == b", ("binary", "==", ("not", ("name", "a")), ("name", "b"))),
        ("a or b and c", ("binary", "or", ("name", "a"), ("binary", "and", ("name", "b"), ("name", "c")))),
        ("(a or b) and c", ("binary", "and", ("binary", "or", ("name", "a"), ("name", "b")), ("name", "c"))),
        (r'"a\"\n\65" .. [[l"ong]]', ("binary", "..", ("constant", 'a"\nA'), ("constant", 'l"ong'))),
        ("0x1F", ("constant", 31)),
        ("a.b['c']", ("index", ("index", ("name", "a"), ("constant", "b")), ("constant", "c"))),
        ("a:b(1, nil)", ("method", "b", [("name", "a"), ("constant", 1), ("constant", None)])),
        ("f(true)", ("call", ("name", "f"), [("constant", True)])),
        ("#a --[[ block ]] -- line", ("#", ("name", "a"))),
    ],
)
def test_expressions_bind_as_in_lua(expression: str, tree: object) -> None:
    assert returned(expression + "\n") == tree


def test_statements() -> None:
    function = parse_function(
        "function (vars, opts) local a; local b = 1; if a then return elseif b then b = 2 else do end end return b; end"
    )
    assert function.parameters == ("vars", "opts")
    assert function.body == [
        ("local", "a", ("constant", None)),
        ("local", "b", ("constant", 1.0)),
        (
            "if",
            [(("name", "a"), [("return", None)]), (("name", "b"), [("assign", "b", ("constant", 2.0))])],
            [("do", [])],
        ),
        ("return", ("name", "b")),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "function(vars) while true do end end",
        "function(vars) for i = 1, 2 do end end",
        "function(vars) local t = {} end",
        "function(vars) return function() end end",
        "function(vars) return 1 end junk",
        "function(vars) return 1",
        "function() return 1 end",
        "function(...) return 1 end",
        "function(vars) print(1) end",
        "function(vars) vars.x = 1 end",
        "function(vars) return 'open end",
        "function(vars) return 1 + end",
        "function(vars) return (1 end",
        "function(vars) return ~1 end",
        "function(vars)" + " do" * (MAX_NESTING + 2) + " end" * (MAX_NESTING + 3),
        "function(vars) return " + "(" * (MAX_NESTING + 2) + "1" + ")" * (MAX_NESTING + 2) + " end",
        "function(vars) return 1" + " or 1" * (MAX_LINKS + 1) + " end",
        "function(vars) return a" + ":lower()" * (MAX_LINKS + 2) + " end",
        "function(vars) return 1 end" + " " * MAX_SOURCE,
    ],
)
def test_what_is_not_served_is_refused(source: str) -> None:
    with pytest.raises(LuaError):
        parse_function(source)


def test_the_place_is_named() -> None:
    with pytest.raises(LuaError, match="line 2: 'while' is not served here"):
        parse_function("function(vars)\n while true do end end")
