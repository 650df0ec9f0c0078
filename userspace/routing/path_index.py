"""PathIndex: the routes of one host pattern by path, in the order in which APISIX's radix tree tries them."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from userspace.http.request import Request
from userspace.routing.expr import Condition
from userspace.routing.pattern import Pattern
from userspace.routing.prefix_tree import PrefixTree
from userspace.routing.uri_pattern import UriPattern, read_uri


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


class Patterned(Generic[C]):
    """A candidate under a uri that is more than a path or a beginning of paths: it stands for it in the lists."""

    __slots__ = ("candidate", "check", "condition", "methods", "order", "rank", "uri")

    def __init__(self, candidate: C, uri: str, pattern: UriPattern) -> None:
        self.candidate: Final = candidate
        self.uri: Final = uri
        self.check: Final = pattern.check
        self.methods: Final = candidate.methods
        self.order: Final = candidate.order
        # Among equal priorities the longer uri first; a plain one is its beginning and a star.
        self.rank: Final = len(pattern.literal) + 1 - len(uri)
        self.condition: Final = (
            candidate.condition if pattern.check is None else _checked(pattern.check, candidate.condition)
        )


def _checked(check: Pattern, inner: Condition | None) -> Condition:
    if inner is None:
        return lambda request: check.found(request.path)
    return lambda request: inner(request) and check.found(request.path)


Item: TypeAlias = C | Patterned[C]


class PathIndex(Generic[C]):
    """`/foo` is an exact path, `/foo*` every path that begins with `/foo`; see uri_pattern.py for the others.

    The routes of one path, or of one beginning, stand in a bucket: here a sorted list, never left empty.
    """

    __slots__ = ("_exact", "_prefixes", "_with_parameters")

    def __init__(self, with_parameters: bool = False) -> None:
        self._exact: dict[str, Any] = {}
        self._prefixes: PrefixTree[Any] | None = None  # most hosts have none
        self._with_parameters = with_parameters

    def __bool__(self) -> bool:
        return bool(self._exact) or bool(self._prefixes)

    def __iter__(self) -> Iterator[C]:
        """Every candidate, once per path it was added under."""
        for bucket in (*self._exact.values(), *(bucket for _, bucket in self._prefixes or ())):
            for item in self._items(bucket):
                yield candidate_of(item)

    def match(self, request: Request) -> C | None:
        """Return the exact path's first candidate whose conditions hold, else the longest prefix's, else None."""
        path = request.path
        bucket = self._exact.get(path)
        if bucket is not None:
            found = self._first(bucket, request)
            if found is not None:
                return candidate_of(found)
        if self._prefixes is not None:
            for bucket in reversed(self._prefixes.matching(path)):
                found = self._first(bucket, request)
                if found is not None:
                    return candidate_of(found)
        return None

    def candidates(self, request: Request) -> Iterator[C]:
        """Those whose path and method fit, in the order in which `match` tries their conditions."""
        buckets = [] if self._prefixes is None else self._prefixes.matching(request.path)
        exact = self._exact.get(request.path)
        for bucket in reversed(buckets if exact is None else [*buckets, exact]):
            for item in self._tried(bucket, request):
                if type(item) is Patterned and item.check is not None and not item.check.found(request.path):
                    continue
                if item.methods is None or request.method in item.methods:
                    yield candidate_of(item)

    def add(self, uri: str, candidate: C, hosts: Iterable[str] = ()) -> None:
        """Add `candidate` under `uri`. Raises PatternError for a uri that is not served."""
        pattern = read_uri(uri, self._with_parameters)
        item = _item(uri, pattern, candidate)
        bucket = self._bucket(pattern)
        if bucket is not None:
            self._put(bucket, item, hosts)
        elif pattern.is_exact:
            self._exact[pattern.literal] = self._made(item, hosts)
        else:
            if self._prefixes is None:
                self._prefixes = PrefixTree()
            self._prefixes.set(pattern.literal, self._made(item, hosts))

    def remove(self, uri: str, candidate: C, hosts: Iterable[str] = ()) -> None:
        """Remove what was added under `uri` with the order of `candidate`. Raises KeyError when nothing was."""
        pattern = read_uri(uri, self._with_parameters)
        bucket = self._bucket(pattern)
        if bucket is None:
            raise KeyError(uri)
        self._take(bucket, _item(uri, pattern, candidate), hosts)
        if bucket:
            return
        if pattern.is_exact:
            del self._exact[pattern.literal]
        elif self._prefixes is not None:
            self._prefixes.remove(pattern.literal)

    def _bucket(self, pattern: UriPattern) -> Any:
        if pattern.is_exact:
            return self._exact.get(pattern.literal)
        return self._prefixes.get(pattern.literal) if self._prefixes is not None else None

    # What a bucket is.

    def _made(self, item: Item[C], hosts: Iterable[str]) -> Any:
        return [item]

    def _put(self, bucket: Any, item: Item[C], hosts: Iterable[str]) -> None:
        put(bucket, item)

    def _take(self, bucket: Any, item: Item[C], hosts: Iterable[str]) -> None:
        take(bucket, item)

    def _first(self, bucket: Any, request: Request) -> Item[C] | None:
        return first(bucket, request)

    def _tried(self, bucket: Any, request: Request) -> Iterable[Item[C]]:
        items: list[Item[C]] = bucket
        return items

    def _items(self, bucket: Any) -> Iterable[Item[C]]:
        items: list[Item[C]] = bucket
        return items


def candidate_of(item: Item[C]) -> C:
    """What an item of a list stands for."""
    return item.candidate if type(item) is Patterned else item  # type: ignore[return-value]


def first(items: Iterable[Item[C]], request: Request) -> Item[C] | None:
    """Return the first item whose conditions hold."""
    for item in items:
        if item.methods is None or request.method in item.methods:
            condition = item.condition
            if condition is None or condition(request):
                return item
    return None


def put(items: list[Item[C]], item: Item[C]) -> None:
    """Add to a sorted list."""
    insort(items, item, key=key)


def take(items: list[Item[C]], item: Item[C]) -> None:
    """Remove from a sorted list what has the key of `item`. Raises KeyError when nothing has."""
    position = bisect_left(items, key(item), key=key)
    if position == len(items) or key(items[position]) != key(item):
        raise KeyError(item.order)
    del items[position]


def key(item: Item[C]) -> tuple[int, int, str, str]:
    """What lists are sorted by: priority, length of the uri, id; and the uri, since one route may have several here."""
    priority, id = item.order
    return (priority, item.rank, id, item.uri) if type(item) is Patterned else (priority, 0, id, "")


def _item(uri: str, pattern: UriPattern, candidate: C) -> Item[C]:
    is_plain = pattern.is_exact or (pattern.check is None and len(uri) == len(pattern.literal) + 1)
    return candidate if is_plain else Patterned(candidate, uri, pattern)
