"""PathIndex: the routes of one host pattern by path, in the order in which APISIX's radix tree tries them."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from userspace.http.request import Request
from userspace.routing.expr import Condition
from userspace.routing.prefix_tree import PrefixTree


class Candidate(Protocol):
    """What the tables hold: a compiled route."""

    @property
    def methods(self) -> frozenset[str] | None:
        """The methods it takes; None for any."""
        ...

    @property
    def condition(self) -> Condition | None:
        """What else must hold; None for nothing."""
        ...

    @property
    def order(self) -> tuple[int, str]:
        """(-priority, id): candidates of the same path are tried in ascending order, alike on every gateway."""
        ...


C = TypeVar("C", bound=Candidate)


class PathIndex(Generic[C]):
    """`/foo` is an exact path, `/foo*` every path that begins with `/foo`. Lists are never left empty."""

    __slots__ = ("_exact", "_prefixes")

    def __init__(self) -> None:
        self._exact: dict[str, list[C]] = {}
        self._prefixes: PrefixTree[list[C]] = PrefixTree()

    def __bool__(self) -> bool:
        return bool(self._exact) or bool(self._prefixes)

    def __iter__(self) -> Iterator[C]:
        """Every candidate, once per path it was added under."""
        for candidates in self._exact.values():
            yield from candidates
        for _, candidates in self._prefixes:
            yield from candidates

    def match(self, request: Request) -> C | None:
        """Return the exact path's first candidate whose conditions hold, else the longest prefix's, else None."""
        path = request.path
        candidates = self._exact.get(path)
        if candidates is not None:
            found = _first(candidates, request)
            if found is not None:
                return found
        if self._prefixes:
            for candidates in reversed(self._prefixes.matching(path)):
                found = _first(candidates, request)
                if found is not None:
                    return found
        return None

    def add(self, uri: str, candidate: C) -> None:
        """Add `candidate` under `uri`."""
        if uri.endswith("*"):
            candidates = self._prefixes.get(uri[:-1])
            if candidates is None:
                self._prefixes.set(uri[:-1], [candidate])
                return
        else:
            candidates = self._exact.setdefault(uri, [])
        insort(candidates, candidate, key=_order)

    def remove(self, uri: str, candidate: C) -> None:
        """Remove what was added under `uri` with the order of `candidate`. Raises KeyError when nothing was."""
        is_prefix = uri.endswith("*")
        candidates = self._prefixes.get(uri[:-1]) if is_prefix else self._exact.get(uri)
        position = bisect_left(candidates, candidate.order, key=_order) if candidates else 0
        if not candidates or position == len(candidates) or candidates[position].order != candidate.order:
            raise KeyError(uri)
        del candidates[position]
        if candidates:
            return
        if is_prefix:
            self._prefixes.remove(uri[:-1])
        else:
            del self._exact[uri]


def _first(candidates: list[C], request: Request) -> C | None:
    for candidate in candidates:
        if candidate.methods is None or request.method in candidate.methods:
            condition = candidate.condition
            if condition is None or condition(request):
                return candidate
    return None


def _order(candidate: Candidate) -> tuple[int, str]:
    return candidate.order
