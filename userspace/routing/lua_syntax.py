"""The part of Lua that `filter_func` needs, parsed: one function of `vars` that decides and returns.

No loops, no tables, no functions within: what is left ends by itself. Whatever else is refused by its place.
"""

import re
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

MAX_SOURCE: Final = 16384
MAX_NESTING: Final = 40
MAX_LINKS: Final = 100

Tree = tuple[Any, ...]
"""An expression or statement: its kind, then its parts."""

_TOKEN: Final = re.compile(
    r"""(?:\s+ | --\[(?P<level>=*)\[.*?\](?P=level)\] | --[^\n]*)* (?:
      \[(?P<eq>=*)\[\n?(?P<long>.*?)\](?P=eq)\]
    | (?P<text>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>0[xX][0-9a-fA-F]+ | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<sign>\.\.|==|~=|<=|>=|[-+*/%^\#<>=()\[\].,;:])
    | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:([0-9]{1,3})|(.))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_KEYWORDS: Final = frozenset(
    ("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or")
) | {"repeat", "return", "then", "true", "until", "while"}
# Binary operators: (how tight on the left, on the right).
_BINDS: Final = {
    "or": (1, 1), "and": (2, 2), "<": (3, 3), ">": (3, 3), "<=": (3, 3), ">=": (3, 3), "~=": (3, 3), "==": (3, 3),
    "..": (5, 4), "+": (6, 6), "-": (6, 6), "*": (7, 7), "/": (7, 7), "%": (7, 7), "^": (10, 9),
}  # fmt: skip
_UNARY: Final = 8


class LuaError(ValueError):
    """`str(error)` says what of the source is not served, and where."""


@dataclass(frozen=True, slots=True)
class Function:
    """`parameters` are names; `body` is a list of statements."""

    parameters: tuple[str, ...]
    body: list[Tree]


def parse_function(source: str) -> Function:
    """Return `function(vars) ... end`, parsed. Raises LuaError."""
    if len(source) > MAX_SOURCE:
        raise LuaError(f"a function of {len(source)} characters, {MAX_SOURCE} are served")
    parser = _Parser(source)
    parser.need("function")
    parser.need("(")
    parameters = [parser.name()]
    while parser.take(","):
        parameters.append(parser.name())
    parser.need(")")
    body = parser.block(0)
    parser.need("end")
    if parser.kind != "end":
        raise parser.unexpected()
    return Function(tuple(parameters), body)


class _Parser:
    """One token ahead: `kind` is name, keyword, number, text, sign or end."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self.kind, self.value = "", ""
        self.next()

    def next(self) -> str:
        """Step over the present token and return it."""
        passed = self.value
        match = _TOKEN.match(self._source, self._at)
        if match is None:
            raise LuaError(f"line {self._line()}: unexpected symbol")
        self._at = match.end()
        if match["long"] is not None:
            self.kind, self.value = "text", match["long"]
            return passed
        self.kind = match.lastgroup or "end"
        self.value = match[self.kind]
        if self.kind == "name" and self.value in _KEYWORDS:
            self.kind = "keyword"
        elif self.kind == "text":
            self.value = _ESCAPE.sub(_unescaped, self.value[1:-1])
        return passed

    def _line(self) -> int:
        return self._source.count("\n", 0, self._at) + 1

    def unexpected(self) -> LuaError:
        return LuaError(
            f"line {self._line()}: {self.value[:32]!r} is not served here" if self.value else "it ends early"
        )

    def take(self, *signs: str) -> str | None:
        """Step over one of `signs` or keywords if it comes next."""
        if self.kind in ("sign", "keyword") and self.value in signs:
            return self.next()
        return None

    def _bounded(self, links: int) -> None:
        """Each link of a chain is a step down when it is evaluated."""
        if links > MAX_LINKS:
            raise LuaError(f"line {self._line()}: more than {MAX_LINKS} operators in a row")

    def need(self, sign: str) -> None:
        if self.take(sign) is None:
            raise self.unexpected()

    def name(self) -> str:
        if self.kind != "name":
            raise self.unexpected()
        return self.next()

    # Statements.

    def block(self, depth: int) -> list[Tree]:
        """Up to the keyword that ends it."""
        if depth > MAX_NESTING:
            raise LuaError("nested too deep")
        statements: list[Tree] = []
        while not (self.kind == "keyword" and self.value in ("end", "else", "elseif")):
            if self.take("return"):
                is_bare = self.kind == "keyword" and self.value in ("end", "else", "elseif") or self.value == ";"
                statements.append(("return", None if is_bare else self.expression(0, depth)))
                self.take(";")
                return statements
            statements.append(self._statement(depth))
            self.take(";")
        return statements

    def _statement(self, depth: int) -> Tree:
        if self.take("local"):
            name = self.name()
            return ("local", name, self.expression(0, depth) if self.take("=") else ("constant", None))
        if self.take("if"):
            return self._if(depth)
        if self.take("do"):
            body = self.block(depth + 1)
            self.need("end")
            return ("do", body)
        name = self.name()
        self.need("=")
        return ("assign", name, self.expression(0, depth))

    def _if(self, depth: int) -> Tree:
        branches = []
        otherwise: list[Tree] = []
        while True:
            condition = self.expression(0, depth)
            self.need("then")
            branches.append((condition, self.block(depth + 1)))
            if self.take("elseif"):
                continue
            if self.take("else"):
                otherwise = self.block(depth + 1)
            self.need("end")
            return ("if", branches, otherwise)

    # Expressions.

    def expression(self, tightness: int, depth: int) -> Tree:
        if depth > MAX_NESTING:
            raise LuaError("nested too deep")
        unary = self.take("not", "-", "#")
        left: Tree = (unary, self.expression(_UNARY, depth + 1)) if unary else self._suffixed(depth)
        links = 0
        while self.kind in ("sign", "keyword") and _BINDS.get(self.value, (0, 0))[0] > tightness:
            links += 1
            self._bounded(links)
            operator = self.next()
            left = ("binary", operator, left, self.expression(_BINDS[operator][1], depth + 1))
        return left

    def _suffixed(self, depth: int) -> Tree:
        left = self._primary(depth)
        for links in count():
            self._bounded(links)
            if self.take("."):
                left = ("index", left, ("constant", self.name()))
            elif self.take("["):
                left = ("index", left, self.expression(0, depth + 1))
                self.need("]")
            elif self.take(":"):
                left = ("method", self.name(), [left, *self._arguments(depth)])
            elif self.kind == "sign" and self.value == "(":
                left = ("call", left, self._arguments(depth))
            else:
                break
        return left

    def _arguments(self, depth: int) -> list[Tree]:
        self.need("(")
        arguments: list[Tree] = []
        while not self.take(")"):
            if arguments:
                self.need(",")
            arguments.append(self.expression(0, depth + 1))
        return arguments

    def _primary(self, depth: int) -> Tree:
        if self.kind == "name":
            return ("name", self.next())
        if self.kind == "text":
            return ("constant", self.next())
        if self.kind == "number":
            text = self.next()
            return ("constant", float(int(text, 16)) if text[1:2] in ("x", "X") else float(text))
        constant = self.take("nil", "true", "false")
        if constant:
            return ("constant", {"nil": None, "true": True, "false": False}[constant])
        self.need("(")
        inside = self.expression(0, depth + 1)
        self.need(")")
        return inside


def _unescaped(escape: "re.Match[str]") -> str:
    if escape[1] is not None:
        return chr(int(escape[1]))
    return _ESCAPES.get(escape[2], escape[2])
