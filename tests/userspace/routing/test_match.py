"""The order of APISIX's radixtree_host_uri, and that it does not cost more among more routes."""

import sys
from collections.abc import Callable, Sequence
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import asked
from tests.userspace.routing.candidates import Named, named
from userspace.routing.match import RoutingTable

Entry = tuple[Sequence[str], Sequence[str], Named]


def table_of(*entries: Entry) -> RoutingTable[Named]:
    table: RoutingTable[Named] = RoutingTable()
    for hosts, uris, candidate in entries:
        table.add(hosts, uris, candidate)
    return table


def found(table: RoutingTable[Named], host: str, path: str, method: str = "GET") -> str | None:
    candidate = table.match(asked(host, path, method))
    return candidate.id if candidate is not None else None


def test_the_host_outranks_path_and_priority() -> None:
    table = table_of(
        (["foo.com"], ["/*"], named("exact host")),
        (["*.foo.com"], ["/*"], named("wildcard")),
        (["*.bar.foo.com"], ["/*"], named("longer wildcard")),
        ([], ["/a"], named("any host", priority=9)),
    )
    assert found(table, "foo.com", "/a") == "exact host"
    assert found(table, "x.foo.com", "/a") == "wildcard"
    assert found(table, "x.bar.foo.com", "/a") == "longer wildcard"
    assert found(table, "bar.com", "/a") == "any host"
    assert found(table, "", "/a") == "any host"
    assert found(table, "bar.com", "/b") is None


def test_a_host_whose_routes_do_not_match_leaves_it_to_the_next() -> None:
    table = table_of(
        (["a.foo.com"], ["/exact"], named("exact host")),
        (["*.foo.com"], ["/wild"], named("wildcard")),
        (["*.foo.com"], ["/both"], named("wildcard post", "POST")),
        (["*"], ["/star"], named("star")),
        ([], ["/any", "/both"], named("any host")),
    )
    paths = ("/exact", "/wild", "/star", "/any", "/both", "/none")
    expected = ["exact host", "wildcard", "star", "any host", "any host", None]
    assert [found(table, "a.foo.com", path) for path in paths] == expected
    assert found(table, "a.foo.com", "/both", "POST") == "wildcard post"


def test_a_wildcard_covers_any_number_of_labels_but_not_the_bare_domain() -> None:
    table = table_of((["*.foo.com"], ["/"], named("w")), (["*bar.com"], ["/"], named("suffix")))
    hosts = ("a.foo.com", "a.b.foo.com", "foo.com", "afoo.com", "bar.com", "a.bar.com", "xbar.com")
    assert [found(table, host, "/") for host in hosts] == ["w", "w", None, None, "suffix", "suffix", "suffix"]


def test_a_route_is_found_under_each_of_its_hosts_and_paths() -> None:
    table = table_of((["a", "*.b", "a"], ["/x", "/y/*", "/x"], named("1")))
    for host in ("a", "x.b"):
        assert [found(table, host, path) for path in ("/x", "/y/z", "/y")] == ["1", "1", None]
    assert found(table, "c", "/x") is None
    table.remove(["a", "*.b", "a"], ["/x", "/y/*", "/x"], named("1"))
    assert list(table) == []
    assert found(table, "a", "/x") is None
    with pytest.raises(KeyError):
        table.remove(["a"], ["/x"], named("1"))


def test_no_host_pattern_outlives_its_routes() -> None:
    table = table_of((["a", "*.b"], ["/x"], named("1")), (["a"], ["/y"], named("2")))
    table.remove(["a", "*.b"], ["/x"], named("1"))
    assert (len(table._hosts), bool(table._wildcards)) == (1, False)
    table.remove(["a"], ["/y"], named("2"))
    assert not table._hosts


HOSTS = ["a.com", "b.a.com", "c.b.a.com", "*.a.com", "*.b.a.com", "*a.com", "*", "com"]
URIS = ["/", "/*", "/a", "/a*", "/a/*", "/a/b", "/a/b*", "*"]
ROUTES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(HOSTS), max_size=2, unique=True),
        st.lists(st.sampled_from(URIS), min_size=1, max_size=2, unique=True),
        st.sets(st.sampled_from(["GET", "POST"]), max_size=1),
        st.integers(0, 1),
    ),
    max_size=12,
)


def by_definition(entries: list[Entry], host: str, path: str, method: str) -> str | None:
    """The rule, written as a sort of all (route, host, path) triples that fit."""

    def fits(pattern: str, text: str, wild: Callable[[str], bool]) -> bool:
        return text == pattern or (pattern in wilds and wild(pattern))

    wilds = {item for item in HOSTS + URIS if "*" in item}
    candidates = []
    for hosts, uris, route in entries:
        if route.methods is not None and method not in route.methods:
            continue
        for pattern in hosts or [None]:
            if pattern is not None and not fits(pattern, host, lambda wild: host.endswith(wild[1:])):
                continue
            host_rank = (2, 0) if pattern is None else (0, 0) if pattern == host else (1, -len(pattern))
            for uri in uris:
                if fits(uri, path, lambda wild: path.startswith(wild[:-1])):
                    uri_rank = (0, 0) if uri == path and not uri.endswith("*") else (1, -len(uri))
                    candidates.append((host_rank, uri_rank, -route.priority, route.id))
    return min(candidates)[3] if candidates else None


@given(ROUTES, st.sets(st.integers(0, 11)), st.sampled_from(["a.com", "b.a.com", "c.b.a.com", "d.b.a.com", "com", "x"]))
def test_it_matches_by_the_rule_also_after_removals(
    drawn: list[tuple[list[str], list[str], set[str], int]], gone: set[int], host: str
) -> None:
    entries: list[Entry] = [
        (hosts, uris, named(str(id), *methods, priority=priority))
        for id, (hosts, uris, methods, priority) in enumerate(drawn)
    ]
    table = table_of(*entries)
    for id in gone:
        if id < len(entries):
            table.remove(*entries[id])
    kept = [entry for id, entry in enumerate(entries) if id not in gone]
    for path in ("/", "/a", "/a/b", "/a/b/c", "/b", ""):
        for method in ("GET", "POST"):
            assert found(table, host, path, method) == by_definition(kept, host, path, method)


def calls(action: Callable[[], object]) -> int:
    """How many functions, C ones included, an action calls: its comparisons are among them."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def many(count: int) -> RoutingTable[Named]:
    """Routes of one tenant in `count`: exact, prefix, wildcard host and host-less ones in equal parts."""
    table: RoutingTable[Named] = RoutingTable()
    for number in range(count):
        hosts = ([f"h{number}.example.com"], [f"*.w{number}.example.com"], [], ["one.example.com"])[number % 4]
        table.add(hosts, [f"/api/v1/item{number}", f"/files/{number:05d}/*"], named(str(number)))
    return table


def test_a_match_and_a_change_cost_the_same_among_10_and_100_000_routes() -> None:
    small, large = many(10), many(100_000)
    for number in range(4):
        host = (f"h{number}.example.com", f"x.w{number}.example.com", "other", "one.example.com")[number]
        for path in (f"/api/v1/item{number}", f"/files/{number:05d}/x", "/none"):
            one = asked(host, path)
            few = calls(lambda one=one: small.match(one))
            lots = calls(lambda one=one: large.match(one))
            # A prefix tree gains a node per character at most, not one per route.
            assert lots <= few + 3 * len(host + path) // 2, (host, path, few, lots)
            assert small.match(one) == large.match(one)

    def change(table: RoutingTable[Named]) -> None:
        table.add(["new.example.com"], ["/new", "/new/*"], named("new"))
        table.remove(["new.example.com"], ["/new", "/new/*"], named("new"))
        table.add([], ["/new", "/new/*"], named("new"))
        table.remove([], ["/new", "/new/*"], named("new"))

    assert calls(lambda: change(large)) <= calls(lambda: change(small)) + 60
