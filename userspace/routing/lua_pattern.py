"""Lua's own patterns (`%d+`, `^a-b$`), as regular expressions."""

from typing import Final

from userspace.routing.lua_syntax import LuaError

_CLASSES: Final = {
    "a": "A-Za-z", "d": "0-9", "l": "a-z", "u": "A-Z", "w": "A-Za-z0-9", "x": "0-9A-Fa-f", "s": r"\t-\r ",
    "p": r"!-/:-@\[-`{-~", "c": r"\x00-\x1f\x7f",
}  # fmt: skip
_QUANTIFIERS: Final = {"*": "*", "+": "+", "-": "*?", "?": "?"}


def translate(pattern: str) -> str:
    """Return the regular expression of a pattern. Raises LuaError for %b, %f and references back."""
    anchored = pattern.startswith("^")
    out = [r"\A"] if anchored else []
    at = int(anchored)
    while at < len(pattern):
        char = pattern[at]
        if char == "$" and at == len(pattern) - 1:
            out.append(r"\z")
            break
        if char in "()":
            out.append(char)
            at += 1
            continue
        single, at = _single(pattern, at)
        out.append(single)
        if at < len(pattern) and pattern[at] in _QUANTIFIERS:
            out.append(_QUANTIFIERS[pattern[at]])
            at += 1
    return "".join(out)


def _single(pattern: str, at: int) -> tuple[str, int]:
    """What matches one character, from `at` on, and where it ends."""
    char = pattern[at]
    if char == ".":
        return r"(?s:.)", at + 1
    if char == "%":
        return _escape(pattern, at, False), at + 2
    if char != "[":
        return _literal(char), at + 1
    negated = pattern[at + 1 : at + 2] == "^"
    at += 2 if negated else 1
    inside: list[str] = []
    start = at
    while at < len(pattern) and (pattern[at] != "]" or at == start):
        if pattern[at] == "%":
            inside.append(_escape(pattern, at, True))
            at += 2
        elif pattern[at + 1 : at + 2] == "-" and pattern[at + 2 : at + 3] not in ("", "]"):
            inside.append(f"{_literal(pattern[at])}-{_literal(pattern[at + 2])}")
            at += 3
        else:
            inside.append(_literal(pattern[at]))
            at += 1
    if at >= len(pattern):
        raise LuaError("malformed pattern (missing ']')")
    return f"[{'^' if negated else ''}{''.join(inside)}]", at + 1


def _escape(pattern: str, at: int, in_set: bool) -> str:
    code = pattern[at + 1 : at + 2]
    if not code or code in "bf" or code.isdigit():
        raise LuaError(f"pattern %{code} is not served")
    members = _CLASSES.get(code.lower())
    if members is None:
        return _literal(code)
    if code.islower():
        return members if in_set else f"[{members}]"
    if in_set:
        raise LuaError(f"pattern %{code} within [] is not served")
    return f"[^{members}]"


def _literal(char: str) -> str:
    return char if char.isalnum() or not char.isascii() else f"\\x{ord(char):02x}"
