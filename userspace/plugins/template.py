"""Template: text with variables in it, `$name`, `${name}` or `${name ?? otherwise}`; `\\$` is left as it is written, as
APISIX does."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from userspace.http.request import Request

_VARIABLE: Final = re.compile(r"(?<!\\)\$(?:\{\s*(\w+)\s*(?:\?\?\s*([^}]*?)\s*)?\}|(\w+))", re.ASCII)


class Template:
    """Compiled once. A variable that a request does not have stands for what is said otherwise, or for nothing."""

    __slots__ = ("_names", "_others", "_parts")

    def __init__(self, text: str) -> None:
        pieces = _VARIABLE.split(text)
        self._parts = pieces[::4]
        self._names = [braced or bare for braced, bare in zip(pieces[1::4], pieces[3::4], strict=True)]
        self._others: list[str | None] = pieces[2::4]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it, in order."""
        return tuple(self._names)

    def fill(
        self,
        request: Request,
        escape: Callable[[str], str] | None = None,
        captures: Sequence[str | None] | None = None,
    ) -> str:
        """Return the text for a request; `escape` is applied to the values of variables only. With `captures`, `$1` is
        what the first group of a pattern took."""
        return self._join(request, escape, captures)[0]

    def filled(self, request: Request) -> tuple[str, int]:
        """Return the text for a request, and how many of its variables have a value."""
        return self._join(request, None, None)

    def _join(
        self, request: Request, escape: Callable[[str], str] | None, captures: Sequence[str | None] | None
    ) -> tuple[str, int]:
        if not self._names:
            return self._parts[0], 0
        out = [self._parts[0]]
        found = 0
        for name, other, part in zip(self._names, self._others, self._parts[1:], strict=True):
            if captures is not None and name.isdigit():
                value = captures[int(name)] if int(name) < len(captures) else None
            else:
                value = request.var(name)
            if value is None:
                value = other
            if value is not None:
                found += 1
                out.append(value if escape is None else escape(value))
            out.append(part)
        return "".join(out), found
