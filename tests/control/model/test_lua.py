"""Lua source: complete or not."""

import pytest

from control.model.errors import ModelError
from control.model.lua import check_function, check_script

FUNCTIONS = [
    "function(vars) return vars['arg_a'] == \"b\" end",
    "function(v) if v.a then return 1 elseif v.b then return 2 else return 3 end end",
    "function() for i = 1, 2 do local f = function() end end while true do break end end",
    "function() repeat local x = {1, [2] = 'end'} until x end -- end",
    "function() local s = [[ end ) ]] --[==[ function ( ]==]\n return s .. '\\'' end",
    "function(...) return 0x1F + 1.5e3 ~= ... end",
]


@pytest.mark.parametrize("source", FUNCTIONS)
def test_a_function_passes(source: str) -> None:
    check_function(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("function(vars) return 1", "failed to load 'filter_func' string: 'end' expected near '<eof>'"),
        ("function(vars) if true then end", "failed to load 'filter_func' string: 'end' expected near '<eof>'"),
        ("function(vars end", "failed to load 'filter_func' string: unexpected symbol near 'end'"),
        ("function(v) return {1) end", "failed to load 'filter_func' string: unexpected symbol near ')'"),
        ("function(v) repeat end", "failed to load 'filter_func' string: unexpected symbol near 'end'"),
        ("function(v) return 'a end", "failed to load 'filter_func' string: line 1: unexpected symbol near ''a end'"),
        ("function(v)\n return $a end", "failed to load 'filter_func' string: line 2: unexpected symbol near '$a end'"),
        ("function(v) return [[a end", "failed to load 'filter_func' string: line 1: unfinished long string"),
        ("function named() end", "failed to load 'filter_func' string: '(' expected near 'function'"),
        ("function", "failed to load 'filter_func' string: 'end' expected near '<eof>'"),
        ("function() end, 1", "'filter_func' should be a function"),
        ("function() end function() end", "'filter_func' should be a function"),
    ],
)
def test_what_is_no_function_is_refused(source: str, says: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_function(source)
    assert str(refusal.value).startswith(says)


@pytest.mark.parametrize(
    "source", ["local _M = {} function _M.access() return 5 end return _M", "return {}", "return f()"]
)
def test_a_script_returns_an_object(source: str) -> None:
    check_script(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("local _M = {}", "'script' should be a Lua object"),
        ("return 5", "'script' should be a Lua object"),
        ("return 'x'", "'script' should be a Lua object"),
        ("return nil", "'script' should be a Lua object"),
        ("return", "'script' should be a Lua object"),
        ("return {", "failed to load 'script' string: '}' expected near '<eof>'"),
    ],
)
def test_what_returns_none_is_refused(source: str, says: str) -> None:
    with pytest.raises(ModelError) as refusal:
        check_script(source)
    assert str(refusal.value) == says


@pytest.mark.parametrize("source", FUNCTIONS)
def test_a_function_cut_off_anywhere_is_refused(source: str) -> None:
    complete = source.rsplit("end", 1)[0] if not source.endswith("-- end") else source.rsplit("end", 2)[0]
    for length in range(len(complete)):
        with pytest.raises(ModelError):
            check_function(source[:length])
