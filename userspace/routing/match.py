"""RoutingTable: which route a request takes, in the order of APISIX's `radixtree_host_uri`.

The host outranks the path, the path outranks the priority:
exact host, then wildcard hosts from the longest to the shortest, then routes without host; under each of them the
exact path, then prefixes from the longest to the shortest; among routes of one path, priority from high to low. A route
that does not take the method is passed over, and the search goes on.
"""

from collections.abc import Iterator, Sequence
from typing import Generic

from userspace.http.request import Request
from userspace.routing.path_index import C, PathIndex
from userspace.routing.prefix_tree import PrefixTree


class RoutingTable(Generic[C]):
    """Changed in place, between requests: `match`, `add` and `remove` neither await nor call out, so within the one
    thread of a worker no match sees a half-made change. Costs depend on the request and the one route, not on how many
    routes there are."""

    __slots__ = ("_any_host", "_hosts", "_wildcards")

    def __init__(self) -> None:
        self._hosts: dict[str, PathIndex[C]] = {}
        self._wildcards: PrefixTree[PathIndex[C]] = PrefixTree()  # `*.foo.com` under its reverse, `moc.oof.`
        self._any_host: PathIndex[C] = PathIndex()

    def __iter__(self) -> Iterator[C]:
        """Every candidate, once per host and path it was added under."""
        for index in self._hosts.values():
            yield from index
        for _, index in self._wildcards:
            yield from index
        yield from self._any_host

    def match(self, request: Request) -> C | None:
        """Return the route for a request, or None."""
        host = request.host
        index = self._hosts.get(host)
        if index is not None:
            found = index.match(request)
            if found is not None:
                return found
        if self._wildcards:
            for index in reversed(self._wildcards.matching(host[::-1])):
                found = index.match(request)
                if found is not None:
                    return found
        return self._any_host.match(request)

    def candidates(self, request: Request) -> Iterator[C]:
        """Those whose host, path and method fit, in the order in which `match` tries their conditions."""
        host = request.host
        index = self._hosts.get(host)
        if index is not None:
            yield from index.candidates(request)
        for index in reversed(self._wildcards.matching(host[::-1]) if self._wildcards else []):
            yield from index.candidates(request)
        yield from self._any_host.candidates(request)

    def add(self, hosts: Sequence[str], uris: Sequence[str], candidate: C) -> None:
        """Add a route under all its host patterns (none: any host) and paths."""
        for index in self._create(hosts):
            for uri in dict.fromkeys(uris):
                index.add(uri, candidate)

    def remove(self, hosts: Sequence[str], uris: Sequence[str], candidate: C) -> None:
        """Remove a route from all the places that `add` with the same arguments put it. Raises KeyError if it is not
        there."""
        for host in dict.fromkeys(hosts) or (None,):
            index = self._find(host)
            if index is None:
                raise KeyError(host)
            for uri in dict.fromkeys(uris):
                index.remove(uri, candidate)
            if host is not None and not index:
                self._drop(host)

    def _find(self, host: str | None) -> PathIndex[C] | None:
        if host is None:
            return self._any_host
        return self._wildcards.get(host[:0:-1]) if host.startswith("*") else self._hosts.get(host)

    def _create(self, hosts: Sequence[str]) -> Iterator[PathIndex[C]]:
        if not hosts:
            yield self._any_host
        for host in dict.fromkeys(hosts):
            index = self._find(host)
            if index is None:
                index = PathIndex()
                if host.startswith("*"):
                    self._wildcards.set(host[:0:-1], index)
                else:
                    self._hosts[host] = index
            yield index

    def _drop(self, host: str) -> None:
        if host.startswith("*"):
            self._wildcards.remove(host[:0:-1])
        else:
            del self._hosts[host]
