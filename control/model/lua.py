"""Lua source inside objects: is it complete? Nothing here runs it.

Tokens are read as Lua 5.1 reads them; blocks and brackets must close in order. That finds what is cut off or mistyped;
what else a compiler would refuse is found by the gateway that compiles it.
"""

import re
from collections.abc import Iterator

from control.model.errors import ModelError

_TOKEN = re.compile(
    r"""\s+ | --\[(?P<comment>=*)\[ | --[^\n]* | \[(?P<long>=*)\[
    | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<sign>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}\[\];:,.])""",
    re.VERBOSE | re.DOTALL,
)
_OPENS = {"function": "end", "do": "end", "if": "end", "repeat": "until", "(": ")", "[": "]", "{": "}"}
_CLOSES = frozenset(_OPENS.values())


def check_function(source: str) -> None:
    """Raise ModelError unless `source` is one function expression."""
    try:
        tokens = _tokens(source)
        closing = _closing(tokens)
    except ValueError as problem:
        raise ModelError(f"failed to load 'filter_func' string: {problem}") from None
    if len(tokens) < 3 or tokens[1] != "(":
        raise ModelError("failed to load 'filter_func' string: '(' expected near 'function'")
    if tokens[0] != "function" or closing != len(tokens) - 1:
        raise ModelError("'filter_func' should be a function")


def check_script(source: str) -> None:
    """Raise ModelError unless `source` is a chunk that ends by returning something that may be an object."""
    try:
        tokens = _tokens(source)
        _closing(tokens)
    except ValueError as problem:
        raise ModelError(f"failed to load 'script' string: {problem}") from None
    last = next((number for number in range(len(tokens) - 1, -1, -1) if tokens[number] == "return"), None)
    returned = tokens[last + 1 :] if last is not None else []
    is_plain = bool(returned) and (returned[0][0] in "\"'0123456789" or returned[0] in ("true", "false", "nil"))
    if not returned or is_plain:
        raise ModelError("'script' should be a Lua object")


def _tokens(source: str) -> list[str]:
    return list(_read(source))


def _read(source: str) -> Iterator[str]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise ValueError(f"{_place(source, at)}: unexpected symbol near '{source[at : at + 10]}'")
        at = match.end()
        level = match["comment"] if match["comment"] is not None else match["long"]
        if level is not None:
            end = source.find(f"]{level}]", at)
            if end < 0:
                raise ValueError(f"{_place(source, at)}: unfinished long string or comment")
            if match["long"] is not None:
                yield '"long"'
            at = end + len(level) + 2
        elif match.lastgroup is not None:
            yield match.group()


def _closing(tokens: list[str]) -> int:
    """The index of the token that closes the first one's block; -1 when it opens none."""
    expected: list[str] = []
    first = -1
    for number, token in enumerate(tokens):
        if token in _OPENS:
            expected.append(_OPENS[token])
        elif token in _CLOSES:
            if not expected or expected.pop() != token:
                raise ValueError(f"unexpected symbol near '{token}'")
            if not expected and first < 0:
                first = number
    if expected:
        raise ValueError(f"'{expected[-1]}' expected near '<eof>'")
    return first


def _place(source: str, at: int) -> str:
    return f"line {source.count(chr(10), 0, at) + 1}"
