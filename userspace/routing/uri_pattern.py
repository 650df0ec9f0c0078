"""How a route's uri reads: a path, or the beginning of paths, with `*` and, in one router mode, `:name` in them."""

from functools import lru_cache
from typing import NamedTuple

from userspace.routing.pattern import Pattern

REST = ":ext"
"""The name, APISIX's, of what a `*` without a name took."""


class UriPattern(NamedTuple):
    """`literal`: the whole path when `is_exact`, else how paths begin. `check`: what a path with this beginning must
    match besides; `names` of what its groups take. Only a `*` or `:` that begins a segment takes anything: `/a*b` is
    all that begins with `/a`, as in APISIX."""

    literal: str
    is_exact: bool
    check: Pattern | None
    names: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """True when `path` is of this pattern."""
        if self.is_exact:
            return path == self.literal
        return path.startswith(self.literal) and (self.check is None or self.check.found(path))

    def taken(self, path: str) -> dict[str, str]:
        """Return what each name took of a path of this pattern."""
        if self.check is None:
            return {name: path[len(self.literal) :] for name in self.names}
        groups = self.check.groups(path) or ()
        return {name: part or "" for name, part in zip(self.names, groups[1:], strict=False)}


def read_uri(uri: str, with_parameters: bool = False) -> UriPattern:
    """Raises PatternError for one that takes more than a Pattern may."""
    star = uri.find("*")
    if not with_parameters or "/:" not in uri:
        if star < 0:
            return UriPattern(uri, True, None, ())
        if star == len(uri) - 1 and "/:" not in uri:
            return UriPattern(uri[:-1], False, None, (REST,) if uri[:-1].endswith("/") else ())
    return _read(uri, with_parameters)


# Each route reads its own a few times.
@lru_cache(maxsize=4096)
def _read(uri: str, with_parameters: bool) -> UriPattern:
    marks = [uri.find("*"), uri.find("/:") + 1 if with_parameters and "/:" in uri else -1]
    first = min(mark for mark in marks if mark >= 0)
    segments = uri.split("/")
    names = tuple(name for name in map(_name, segments) if name is not None)
    literal = uri[:first]
    # What the last segment's `*` takes needs no check: it is all that is left.
    is_rest = names and uri.find("/", first) < 0 and uri[first] == "*" and len(names) == 1
    if not names or is_rest:
        return UriPattern(literal, False, None, names)
    expression = "/".join(map(_expression, segments))
    return UriPattern(literal, False, Pattern(rf"\A{expression}\z"), names)


def _name(segment: str) -> str | None:
    if segment.startswith("*"):
        return segment[1:] or REST
    return segment[1:] if segment.startswith(":") else None


def _expression(segment: str) -> str:
    if segment.startswith("*"):
        return "((?s:.*))"
    return "([^/]+)" if segment.startswith(":") else _escaped(segment)


def _escaped(text: str) -> str:
    """For RE2: re.escape writes what only Python reads."""
    return "".join(mark if mark.isalnum() or not mark.isascii() else f"\\x{ord(mark):02x}" for mark in text)
