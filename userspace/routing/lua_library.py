"""The functions that a filter_func may call. Each takes time linear in its arguments, whose lengths are bounded."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from userspace.routing.expr import to_number
from userspace.routing.lua_pattern import translate
from userspace.routing.pattern import Pattern

MAX_TEXT: Final = 1 << 16
"""Of a text that is made by joining others."""


def text_of(value: Any) -> str:
    """As `..` and tostring's number have it. Raises TypeError for what is no text or number."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError("text too long")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no text")
    return f"{value:.14g}"


def _tostring(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    return text_of(value)


def _type(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number" if isinstance(value, int | float) else "table"


def _find(text: Any, pattern: Any, start: Any = 1, plain: Any = None) -> float | None:
    """The position, from 1, where it begins: all that a condition can ask."""
    rest, offset = _from(text, start)
    if plain not in (None, False):
        at = rest.find(text_of(pattern))
        return None if at < 0 else float(at + offset + 1)
    taken = _compiled(text_of(pattern)).span(rest)
    return None if taken is None else float(taken[0] + offset + 1)


def _match(text: Any, pattern: Any, start: Any = 1) -> str | None:
    groups = _compiled(text_of(pattern)).groups(_from(text, start)[0])
    return None if groups is None else groups[1] if len(groups) > 1 else groups[0]


def _sub(text: Any, start: Any, end: Any = -1) -> str:
    raw = text_of(text)
    size, first, last = len(raw), int(_count(start)), int(_count(end))
    first = max(first + size + 1, 1) if first < 0 else max(first, 1)
    last = last + size + 1 if last < 0 else min(last, size)
    return raw[first - 1 : max(last, 0)]


def _re(ignore_case: bool, text: Any, pattern: Any) -> bool:
    return Pattern(text_of(pattern), ignore_case).found(text_of(text))


def _re_find(text: Any, pattern: Any, flags: Any = "") -> float | None:
    return 1.0 if _re("i" in text_of(flags), text, pattern) else None


def _from(text: Any, start: Any) -> tuple[str, int]:
    raw, first = text_of(text), int(_count(start))
    offset = max(first - 1, 0) if first > 0 else max(len(raw) + first, 0)
    return raw[offset:], offset


def _count(value: Any) -> float:
    number = to_number(value)
    if number is None:
        raise TypeError("no number")
    return number


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Pattern:
    return Pattern(translate(pattern))


STRINGS: Final[dict[str, Callable[..., Any]]] = {
    "lower": lambda text: text_of(text).lower(),
    "upper": lambda text: text_of(text).upper(),
    "len": lambda text: float(len(text_of(text).encode("utf-8", "surrogateescape"))),
    "sub": _sub,
    "find": _find,
    "match": _match,
}
PATTERNED: Final = (_find, _match)
"""Those whose second argument is one of Lua's patterns."""
LIBRARY: Final[dict[str, Callable[..., Any]]] = {
    **{f"string.{name}": function for name, function in STRINGS.items()},
    "tonumber": lambda value: to_number(value),
    "tostring": _tostring,
    "type": _type,
    "ngx.re.find": _re_find,
    "ngx.re.match": _re_find,
}
