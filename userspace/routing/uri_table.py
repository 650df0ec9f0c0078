"""UriTable: which route a request takes, in the order of APISIX's `radixtree_uri`.

The path outranks everything, then the priority; a host is a condition like others. Under one path, routes are found by
their hosts all the same: a path that every tenant has costs a request what its own host has, not what all have.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Generic

from userspace.http.request import Request
from userspace.routing.path_index import C, Item, PathIndex, first, key, put, take
from userspace.routing.prefix_tree import PrefixTree


class HostBucket(Generic[C]):
    """The routes of one path by host: exact (with its port, where the pattern has one), suffixes of `*`, none."""

    __slots__ = ("_any", "_exact", "_has_ports", "_suffixes")

    def __init__(self) -> None:
        self._any: list[Item[C]] = []
        self._exact: dict[str, list[Item[C]]] | None = None
        self._suffixes: PrefixTree[list[Item[C]]] | None = None  # `*.foo.com` under its reverse, `moc.oof.`
        self._has_ports = False

    def __bool__(self) -> bool:
        return bool(self._any) or bool(self._exact) or bool(self._suffixes)

    def __iter__(self) -> Iterator[Item[C]]:
        """Every item, once per host it was added under."""
        yield from self._any
        for items in (self._exact or {}).values():
            yield from items
        for _, items in self._suffixes or ():
            yield from items

    def first(self, request: Request) -> Item[C] | None:
        """Return the first, in the order of priorities, whose host and conditions hold."""
        lists = self._lists(request)
        if len(lists) == 1:
            return first(lists[0], request)
        return first(merge(*lists, key=key), request) if lists else None

    def tried(self, request: Request) -> Iterable[Item[C]]:
        """Those whose host holds, in the order of priorities."""
        return merge(*self._lists(request), key=key)

    def _lists(self, request: Request) -> list[list[Item[C]]]:
        lists: list[list[Item[C]]] = [self._any] if self._any else []
        if self._exact:
            names = {request.host, request.head.authority.lower()} if self._has_ports else (request.host,)
            lists += [self._exact[name] for name in names if name in self._exact]
        if self._suffixes:
            lists += self._suffixes.matching(request.host[::-1])
        return lists

    def put(self, item: Item[C], hosts: Iterable[str]) -> None:
        """Add an item under each of `hosts`; none: any host."""
        for host in hosts or (None,):
            put(self._list_of(host), item)

    def take(self, item: Item[C], hosts: Iterable[str]) -> None:
        """Remove it from where it was put. Raises KeyError when it is not there."""
        for host in hosts or (None,):
            items = self._list_of(host)
            try:
                take(items, item)
            finally:
                if not items and host is not None:
                    self._drop(host)

    def _drop(self, host: str) -> None:
        if host.startswith("*"):
            assert self._suffixes is not None
            self._suffixes.remove(host[:0:-1])
        else:
            assert self._exact is not None
            del self._exact[host]

    def _list_of(self, host: str | None) -> list[Item[C]]:
        if host is None:
            return self._any
        if not host.startswith("*"):
            self._has_ports = self._has_ports or ":" in host
            if self._exact is None:
                self._exact = {}
            return self._exact.setdefault(host, [])
        if self._suffixes is None:
            self._suffixes = PrefixTree()
        items = self._suffixes.get(host[:0:-1])
        if items is None:
            items = []
            self._suffixes.set(host[:0:-1], items)
        return items


class HostedPathIndex(PathIndex[C]):
    """A PathIndex whose buckets look at hosts."""

    __slots__ = ()

    def _made(self, item: Item[C], hosts: Iterable[str]) -> Any:
        bucket: HostBucket[C] = HostBucket()
        bucket.put(item, hosts)
        return bucket

    def _put(self, bucket: Any, item: Item[C], hosts: Iterable[str]) -> None:
        bucket.put(item, hosts)

    def _take(self, bucket: Any, item: Item[C], hosts: Iterable[str]) -> None:
        bucket.take(item, hosts)

    def _first(self, bucket: Any, request: Request) -> Item[C] | None:
        found: Item[C] | None = bucket.first(request)
        return found

    def _tried(self, bucket: Any, request: Request) -> Iterable[Item[C]]:
        items: Iterable[Item[C]] = bucket.tried(request)
        return items


class UriTable(Generic[C]):
    """As RoutingTable. `with_parameters`: `:name` in a uri stands for a segment (`radixtree_uri_with_parameter`)."""

    __slots__ = ("_index",)

    def __init__(self, with_parameters: bool = False) -> None:
        self._index: HostedPathIndex[C] = HostedPathIndex(with_parameters)

    def __iter__(self) -> Iterator[C]:
        """Every candidate, once per host and path it was added under."""
        yield from self._index

    def match(self, request: Request) -> C | None:
        """Return the route for a request, or None. May raise BodyWanted."""
        return self._index.match(request)

    def candidates(self, request: Request) -> Iterator[C]:
        """Those whose path, host and method fit, in the order in which `match` tries their conditions."""
        return self._index.candidates(request)

    def add(self, hosts: Sequence[str], uris: Sequence[str], candidate: C) -> None:
        """Add a route under all its host patterns (none: any host) and paths."""
        for uri in dict.fromkeys(uris):
            self._index.add(uri, candidate, tuple(dict.fromkeys(hosts)))

    def remove(self, hosts: Sequence[str], uris: Sequence[str], candidate: C) -> None:
        """Remove a route from where `add` with the same arguments put it. Raises KeyError if it is not there."""
        for uri in dict.fromkeys(uris):
            self._index.remove(uri, candidate, tuple(dict.fromkeys(hosts)))
