"""What a GraphQL document asks for: the first operation's kind, name and fields. The October 2021 grammar of requests.

Steps are bounded by the text; nesting by MAX_DEPTH.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 64

_TOKEN: Final = re.compile(
    r"""(?:[\s,\ufeff] | \#[^\n\r]*)*+ (?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*+)
      | (?P<value>\"\"\"[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*\"\"\" | "(?:[^"\\\n\r]|\\.)*+"
          | -?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)
    | (?P<sign>\.\.\.|[!$&():=@\[\]{|}])
    | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_OPERATIONS: Final = frozenset({"query", "mutation", "subscription"})


@dataclass(frozen=True, slots=True)
class Operation:
    """`kind` is query, mutation or subscription ("" for a fragment), `name` "" for an anonymous one. `fields` are the
    names, not the aliases, of what is selected at the top."""

    kind: str
    name: str
    fields: tuple[str, ...]


def first_operation(document: str) -> Operation:
    """Return the first definition of a document. Raises ValueError when it is no GraphQL, or has none."""
    tokens = _Tokens(document)
    if tokens.kind == "end":
        raise ValueError("empty document")
    first = _definition(tokens)
    while tokens.kind != "end":
        _definition(tokens)
    return first


class _Tokens:
    """One token ahead: `kind` is "name", "value", "sign" or "end"."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._at = 0
        self.kind, self.text = "", ""
        self.next()

    def next(self) -> str:
        """Step over the present token and return it."""
        passed = self.text
        match = _TOKEN.match(self._document, self._at)
        if match is None:
            raise ValueError(f"unexpected character at {self._at}")
        self._at = match.end()
        self.kind = match.lastgroup or ""
        self.text = match[self.kind]
        return passed

    def take(self, sign: str) -> bool:
        """Step over `sign` if it comes next."""
        if self.kind != "sign" or self.text != sign:
            return False
        self.next()
        return True

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise ValueError(f"expected {sign!r}, got {self.text[:32]!r}")

    def name(self) -> str:
        if self.kind != "name":
            raise ValueError(f"expected a name, got {self.text[:32]!r}")
        return self.next()


def _definition(tokens: _Tokens) -> Operation:
    if tokens.kind == "sign":
        return Operation("query", "", _selections(tokens, 0))
    keyword = tokens.name()
    if keyword == "fragment":
        name = tokens.name()
        if tokens.name() != "on":
            raise ValueError("expected 'on'")
        tokens.name()
        _directives(tokens)
        return Operation("", name, _selections(tokens, 0))
    if keyword not in _OPERATIONS:
        raise ValueError(f"unexpected {keyword[:32]!r}")
    name = tokens.next() if tokens.kind == "name" else ""
    if tokens.kind == "sign" and tokens.text == "(":
        _balanced(tokens)
    _directives(tokens)
    return Operation(keyword, name, _selections(tokens, 0))


def _selections(tokens: _Tokens, depth: int) -> tuple[str, ...]:
    """`{ ... }`; the names of the fields and of the fragments that are spread."""
    if depth == MAX_DEPTH:
        raise ValueError("nested too deep")
    tokens.need("{")
    names: list[str] = []
    while not tokens.take("}"):
        if tokens.take("..."):
            _spread(tokens, names, depth)
        else:
            name = tokens.name()
            if tokens.take(":"):
                name = tokens.name()
            names.append(name)
            if tokens.kind == "sign" and tokens.text == "(":
                _balanced(tokens)
            _directives(tokens)
            if tokens.kind == "sign" and tokens.text == "{":
                _selections(tokens, depth + 1)
    if not names:
        raise ValueError("nothing is selected")
    return tuple(names)


def _spread(tokens: _Tokens, names: list[str], depth: int) -> None:
    if tokens.kind == "name" and tokens.text != "on":
        names.append(tokens.next())
        _directives(tokens)
        return
    if tokens.kind == "name":
        tokens.next()
        tokens.name()
    _directives(tokens)
    names.extend(_selections(tokens, depth + 1))


def _directives(tokens: _Tokens) -> None:
    while tokens.take("@"):
        tokens.name()
        if tokens.kind == "sign" and tokens.text == "(":
            _balanced(tokens)


def _balanced(tokens: _Tokens) -> None:
    """Step over a bracket and all up to the one that closes it: arguments, variables and their values."""
    expected: list[str] = []
    while True:
        if tokens.kind == "end" or len(expected) > MAX_DEPTH:
            raise ValueError("unbalanced brackets")
        is_sign, text = tokens.kind == "sign", tokens.next()
        if is_sign and text in _CLOSES:
            expected.append(_CLOSES[text])
        elif is_sign and text in _CLOSES.values():
            if not expected or expected.pop() != text:
                raise ValueError("unbalanced brackets")
            if not expected:
                return
