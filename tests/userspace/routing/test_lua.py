import time

import pytest

from tests.requests import request
from userspace.routing.lua import compile_function
from userspace.routing.lua_syntax import LuaError

ONE = request("GET", "/api/v2/x?name=json&n=10", "X-Kind: Blue-7")


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        ("return vars.arg_name == 'json'", True),
        ("return vars.arg_name ~= 'json'", False),
        ("return vars['arg_name'] == \"json\" and vars.arg_none == nil", True),
        ("return vars['arg_' .. 'name'] == 'json'", True),
        ("return tonumber(vars.arg_n) > 9", True),
        ("return vars.arg_n + 1 == 11", True),
        ("return vars.arg_n == 10", False),
        ("return vars.arg_n .. 1 == '101'", True),
        ("return #vars.arg_name == 4 and -2 ^ 2 == -4 and 7 % 3 == 1", True),
        ("return not vars.arg_none", True),
        ("return vars.arg_none or 'default'", True),
        ("return vars.arg_none", False),
        ("return nil", False),
        ("return 0", True),
        ("return", False),
        ("", False),
        ("return vars.http_x_kind:lower():find('blue', 1, true) ~= nil", True),
        ("return string.match(vars.uri, '^/api/v(%d+)/') == '2'", True),
        ("return ngx.re.find(vars.uri, [[^/api/v\\d]], 'jo')", True),
        ("local a = vars.arg_name; if a == 'x' then return false elseif a == 'json' then return true end", True),
        ("local a = 1 do local a = 2 end return a == 1", True),
        ("local a if vars.uri then a = 3 else a = 4 end return a == 3", True),
        ("local a = 1; local a = a + 1; return a == 2", True),
        ("if vars.arg_none then return true end", False),
        ("return true == 1 or 1 == '1'", False),
        # Errors of Lua's.
        ("return vars.arg_none > 5", False),
        ("return vars.arg_name > 5", False),
        ("return vars.arg_none .. 'x' ~= nil", False),
        ("return vars.arg_none:lower() ~= nil", False),
        ("return vars.arg_name + 1 ~= nil", False),
        ("return 1 / 0 > 1", False),
        ("return 10 ^ 400 > 1", False),
    ],
)
def test_a_function_decides(body: str, holds: bool) -> None:
    assert compile_function(f"function(vars) {body} end")(ONE) is holds


def test_it_may_have_a_second_parameter_that_it_does_not_look_into() -> None:
    assert compile_function("function(vars, opts) return vars.uri ~= opts end")(ONE)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return os.execute('x')", "calling 'os.execute'"),
        ("return require('x')", "calling 'require'"),
        ("return vars.uri:rep(100000)", "method 'rep'"),
        ("return vars.uri:match('%bxy')", "pattern %b"),
        ("return print", "'print' is not served as a value"),
        ("return vars", "'vars' is not served as a value"),
        ("return ngx.var.uri", "only vars is indexed"),
        ("x = 1", "assigning to 'x'"),
        ("vars = 1", "assigning to 'vars'"),
    ],
)
def test_what_is_not_served_is_named(body: str, says: str) -> None:
    with pytest.raises(LuaError, match=says):
        compile_function(f"function(vars) {body} end")


def test_no_function_takes_long() -> None:
    doubling = "local a = vars.uri " + "a = a .. a " * 60 + "return a"
    nested = "return " + "(" * 30 + "vars.uri" + " .. 'x')" * 30
    evil = "return string.match('" + "a" * 5000 + "', '.-.-.-.-b')"
    started = time.process_time()
    for body, holds in ((doubling, False), (nested, True), (evil, False)):
        assert compile_function(f"function(vars) {body} end")(ONE) is holds
    assert time.process_time() - started < 1
