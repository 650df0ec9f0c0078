"""Pattern: a regular expression of a tenant, in time linear in the text, whatever the two are.

RE2 reads what PCRE reads, without what makes PCRE slow: look-around, back references, possessive and atomic groups.
Texts are matched as bytes, as nginx does: `.` is one byte of a UTF-8 character, and a case is one of ASCII's.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import re2

# Of one compiled pattern and of the automaton that it grows while matching.
MAX_MEMORY: Final = 1 << 20
# A pattern longer than this is refused before it is looked at.
MAX_LENGTH: Final = 8192

_REFERENCE = re.compile(r"\$(?:\$|(\d+)|\{(\d+)\})", re.ASCII)


class PatternError(ValueError):
    """`str(error)` says which pattern is not served, and why."""


class Pattern:
    """Compiled once, off the request path."""

    __slots__ = ("_expression", "source")

    def __init__(self, source: str, ignore_case: bool = False) -> None:
        """Raises PatternError."""
        self.source: Final = source
        self._expression: Final = _compile(source, ignore_case)

    def found(self, text: str | bytes) -> bool:
        """True when it matches somewhere in `text`."""
        return self._expression.search(_bytes(text)) is not None

    def groups(self, text: str) -> tuple[str | None, ...] | None:
        """What the first match and each group of it took, the match itself first; None without a match."""
        match = self._expression.search(_bytes(text))
        if match is None:
            return None
        taken = (match.group(0), *match.groups())
        return tuple(None if part is None else part.decode("utf-8", "surrogateescape") for part in taken)

    def span(self, text: str) -> tuple[int, int] | None:
        """Where the first match begins and ends, in characters."""
        data = _bytes(text)
        match = self._expression.search(data)
        if match is None:
            return None
        before, taken = data[: match.start()], data[match.start() : match.end()]
        start = len(before.decode("utf-8", "surrogateescape"))
        return start, start + len(taken.decode("utf-8", "surrogateescape"))

    def sub(self, text: str, replacement: "Replacement", once: bool = True) -> tuple[str, int]:
        """Return `text` with the first match replaced, or every match, and how many were."""
        data, count = self.sub_bytes(_bytes(text), replacement, once)
        return data.decode("utf-8", "surrogateescape"), count

    def sub_bytes(self, data: bytes, replacement: "Replacement", once: bool = True) -> tuple[bytes, int]:
        """As `sub`, for a body."""
        out: list[bytes] = []
        end = count = 0
        for match in self._expression.finditer(data):
            out.append(data[end : match.start()])
            out.append(replacement.fill((match.group(0), *match.groups())))
            end = match.end()
            count += 1
            if once:
                break
        out.append(data[end:])
        return b"".join(out), count


class Replacement:
    """What is put in place of a match: text with `$1`, `${1}` and `$0` for what groups took, `$$` for a dollar."""

    __slots__ = ("_parts",)

    def __init__(self, template: str) -> None:
        parts: list[bytes | int] = []
        end = 0
        for reference in _REFERENCE.finditer(template):
            parts.append(_bytes(template[end : reference.start()]))
            number = reference[1] or reference[2]
            parts.append(b"$" if number is None else int(number))
            end = reference.end()
        parts.append(_bytes(template[end:]))
        self._parts: Final = parts

    @property
    def groups(self) -> int:
        """The highest group that is referred to."""
        return max((part for part in self._parts if isinstance(part, int)), default=0)

    def fill(self, taken: Sequence[bytes | None]) -> bytes:
        """Return it with the groups put in. A group that took nothing, or that there is not, stands for nothing."""
        return b"".join(
            part if isinstance(part, bytes) else (taken[part] or b"") if part < len(taken) else b""
            for part in self._parts
        )


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


# Many routes have the same few patterns; and each is compiled once to see whether it can be, and once to be used.
@lru_cache(maxsize=1024)
def _compile(source: str, ignore_case: bool) -> Any:
    if len(source) > MAX_LENGTH:
        raise PatternError(f"regular expression of {len(source)} characters, {MAX_LENGTH} are served")
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    options.log_errors = False
    try:
        return re2.compile(_bytes(source), options)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0].decode("latin-1") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise PatternError(f"regular expression {source[:64]!r} is not served: {said}") from None
