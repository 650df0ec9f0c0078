"""A path into a parsed JSON document: `a.b`, `a[0]`, `a[*].b`, `a..b`, `a['x y']`. What post_arg.* variables name."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

# Values that a path with wildcards finds; more are not looked for. Nodes that it visits for them.
MAX_FOUND: Final = 1000
MAX_VISITED: Final = 100_000

_STEP: Final = re.compile(
    r"""(?P<deep>\.\.)? (?: \.? (?P<name>[^.\[\]*'"\s]+) | \.? (?P<all>\*)
    | \[ \s* (?: (?P<index>-?[0-9]+) | (?P<each>\*) | '(?P<single>[^']*)' | "(?P<double>[^"]*)" ) \s* \] )""",
    re.VERBOSE,
)
_Step = tuple[bool, str | int | None]  # whether at any depth; a key, an index, or None for everything


def compile_path(path: str) -> Callable[[Any], Any]:
    """Return what finds the value that `path` names: None when there is none.

    A path with `[`, `*` or `..` may name several: it finds a list of them. Raises ValueError for what is no path.
    """
    if not any(mark in path for mark in ("[", "*", "..")):
        names = [name for name in path.split(".") if name]
        return lambda document: _walk(document, names)
    steps = list(_steps(path))

    def find(document: Any) -> Any:
        found = _select(document, steps)
        return found or None

    return find


def _steps(path: str) -> Iterator[_Step]:
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f"bad path {path[:64]!r} at {at}")
        at = match.end()
        deep = match["deep"] is not None
        if match["index"] is not None:
            yield deep, int(match["index"])
        elif match["all"] is not None or match["each"] is not None:
            yield deep, None
        else:
            yield deep, next(match[group] for group in ("name", "single", "double") if match[group] is not None)


def _walk(document: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def _select(document: Any, steps: list[_Step]) -> list[Any]:
    present, visited = [document], 0
    for deep, what in steps:
        found: list[Any] = []
        for node in present:
            for base in _descend(node) if deep else (node,):
                visited += 1
                if visited > MAX_VISITED:
                    return []
                if len(found) < MAX_FOUND:
                    found.extend(_children(base, what)[: MAX_FOUND - len(found)])
        present = found
    return present


def _descend(node: Any) -> Iterator[Any]:
    """The node and all below it, outermost first."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, dict):
            waiting.extend(reversed(list(node.values())))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def _children(node: Any, what: str | int | None) -> list[Any]:
    if isinstance(node, dict):
        if what is None:
            return list(node.values())
        return [node[what]] if what in node else []
    if isinstance(node, list):
        if what is None:
            return node
        if isinstance(what, int) and -len(node) <= what < len(node):
            return [node[what]]
    return []
