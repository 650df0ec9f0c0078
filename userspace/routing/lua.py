"""A route's filter_func, compiled: `function(vars) return vars.arg_a == "b" end` -> a condition."""

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from userspace.http.request import Request
from userspace.http.variables import getter
from userspace.routing.expr import Condition, to_number
from userspace.routing.lua_library import LIBRARY, PATTERNED, STRINGS, text_of
from userspace.routing.lua_pattern import translate
from userspace.routing.lua_syntax import LuaError, Tree, parse_function

_Value = Callable[[list[Any]], Any]
"""From the values of the locals; the first is the request, for `vars`."""

_RETURNS: Final = object()
"""What a statement yields that lets the next one have its turn."""


# Many routes have the same function; and each is compiled once to see whether it can be, and once to be used.
@lru_cache(maxsize=1024)
def compile_function(source: str) -> Condition:
    """Return what the function decides. Raises LuaError for what is not served of it.

    Where Lua would raise an error (nil compared with a number, ...), the condition does not hold.
    """
    function = parse_function(source)
    compiler = _Compiler(function.parameters)
    run = compiler.block(function.body)
    size = compiler.size

    def holds(request: Request) -> bool:
        slots: list[Any] = [request] + [None] * size
        try:
            result = run(slots)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            return False
        return result is not _RETURNS and result is not None and result is not False

    return holds


class _Compiler:
    """Locals get slots as they appear; one that hides another gets a slot of its own."""

    def __init__(self, parameters: tuple[str, ...]) -> None:
        self._scopes: list[dict[str, int]] = [{name: number for number, name in enumerate(parameters)}]
        self.size = len(parameters)

    def block(self, statements: list[Tree]) -> _Value:
        """Its value is what it returns; _RETURNS when it ends without."""
        self._scopes.append({})
        steps = [self._statement(statement) for statement in statements]
        self._scopes.pop()

        def run(slots: list[Any]) -> Any:
            for step in steps:
                result = step(slots)
                if result is not _RETURNS:
                    return result
            return _RETURNS

        return run

    def _statement(self, statement: Tree) -> _Value:
        kind = statement[0]
        if kind == "return":
            return self._expression(statement[1]) if statement[1] is not None else lambda slots: None
        if kind == "do":
            return self.block(statement[1])
        if kind == "if":
            return self._if(statement[1], statement[2])
        value = self._expression(statement[2])
        if kind == "local":
            self.size += 1
            slot = self._scopes[-1][statement[1]] = self.size
        else:
            found = self._slot(statement[1])
            if found is None or found == 0:
                raise LuaError(f"assigning to {statement[1]!r} is not served")
            slot = found

        def assign(slots: list[Any]) -> Any:
            slots[slot] = value(slots)
            return _RETURNS

        return assign

    def _if(self, branches: list[tuple[Tree, list[Tree]]], otherwise: list[Tree]) -> _Value:
        compiled = [(self._expression(condition), self.block(body)) for condition, body in branches]
        rest = self.block(otherwise)

        def run(slots: list[Any]) -> Any:
            for condition, body in compiled:
                if _is_true(condition(slots)):
                    return body(slots)
            return rest(slots)

        return run

    def _slot(self, name: str) -> int | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    # Expressions.

    def _expression(self, tree: Tree) -> _Value:
        kind = tree[0]
        if kind == "constant":
            value = tree[1]
            return lambda slots: value
        if kind == "name":
            slot = self._slot(tree[1])
            if slot is None or slot == 0:
                raise LuaError(f"{tree[1]!r} is not served as a value")
            return lambda slots: slots[slot]
        if kind == "index":
            return self._index(tree[1], tree[2])
        if kind == "call":
            return self._call(tree[1], tree[2])
        if kind == "method":
            if tree[1] not in STRINGS:
                raise LuaError(f"method {tree[1]!r} is not served")
            return self._apply(STRINGS[tree[1]], tree[2])
        if kind == "binary":
            return self._binary(tree[1], tree[2], tree[3])
        inner = self._expression(tree[1])
        if kind == "not":
            return lambda slots: not _is_true(inner(slots))
        if kind == "-":
            return lambda slots: -_number(inner(slots))
        return lambda slots: float(len(_text(inner(slots)).encode("utf-8", "surrogateescape")))

    def _index(self, base: Tree, index: Tree) -> _Value:
        if base[0] != "name" or self._slot(base[1]) != 0:
            raise LuaError("only vars is indexed")
        if index[0] == "constant" and isinstance(index[1], str):
            value = getter(index[1])
            return lambda slots: value(slots[0])
        name = self._expression(index)
        return lambda slots: slots[0].var(_text(name(slots)))

    def _call(self, called: Tree, arguments: list[Tree]) -> _Value:
        path: list[str] = []
        while called[0] == "index" and called[2][0] == "constant":
            path.insert(0, str(called[2][1]))
            called = called[1]
        path.insert(0, str(called[1]) if called[0] == "name" and self._slot(called[1]) is None else "?")
        function = LIBRARY.get(".".join(path))
        if function is None:
            raise LuaError(f"calling {'.'.join(path)!r} is not served")
        return self._apply(function, arguments)

    def _apply(self, function: Callable[..., Any], arguments: list[Tree]) -> _Value:
        if function in PATTERNED and len(arguments) == 2 and arguments[1][0] == "constant":
            translate(str(arguments[1][1]))
        values = [self._expression(argument) for argument in arguments]
        return lambda slots: function(*[value(slots) for value in values])

    def _binary(self, sign: str, left: Tree, right: Tree) -> _Value:
        one, other = self._expression(left), self._expression(right)
        if sign == "and":
            return lambda slots: other(slots) if _is_true(first := one(slots)) else first
        if sign == "or":
            return lambda slots: first if _is_true(first := one(slots)) else other(slots)
        if sign == "==":
            return lambda slots: _same(one(slots), other(slots))
        if sign == "~=":
            return lambda slots: not _same(one(slots), other(slots))
        if sign == "..":
            return lambda slots: text_of(one(slots)) + text_of(other(slots))
        if sign in _ORDER:
            holds = _ORDER[sign]
            return lambda slots: _ordered(holds, one(slots), other(slots))
        compute = _ARITHMETIC[sign]
        return lambda slots: compute(_number(one(slots)), _number(other(slots)))


_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod, "^": math.pow,
}  # fmt: skip


def _is_true(value: Any) -> bool:
    return value is not None and value is not False


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _ordered(holds: Callable[[Any, Any], bool], one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or isinstance(one, str) != isinstance(other, str):
        raise TypeError("compared with another type")
    return holds(one, other)


def _number(value: Any) -> float:
    number = to_number(value)
    if number is None:
        raise TypeError("no number")
    return float(number)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
