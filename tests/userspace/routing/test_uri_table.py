"""The order of APISIX's radixtree_uri, and that it does not cost more among more hosts of one path."""

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import asked, request
from tests.userspace.routing.candidates import Named, named
from tests.userspace.routing.test_match import calls
from userspace.routing.uri_table import UriTable

Entry = tuple[list[str], list[str], Named]


def table_of(*entries: Entry, with_parameters: bool = False) -> UriTable[Named]:
    table: UriTable[Named] = UriTable(with_parameters)
    for hosts, uris, candidate in entries:
        table.add(hosts, uris, candidate)
    return table


def found(table: UriTable[Named], host: str, path: str, method: str = "GET") -> str | None:
    candidate = table.match(asked(host, path, method))
    return candidate.id if candidate is not None else None


def test_the_path_outranks_host_and_priority() -> None:
    table = table_of(
        (["foo.com"], ["/*"], named("host", priority=9)),
        ([], ["/a/*"], named("prefix")),
        ([], ["/a/b"], named("exact")),
    )
    assert [found(table, "foo.com", path) for path in ("/x", "/a/x", "/a/b")] == ["host", "prefix", "exact"]


def test_hosts_of_one_path_are_ordered_by_priority_then_id_not_by_their_length() -> None:
    table = table_of(
        (["a.foo.com"], ["/"], named("exact")),
        (["*.foo.com"], ["/"], named("wild", priority=1)),
        (["*"], ["/"], named("all", priority=2)),
        ([], ["/"], named("none", "POST", priority=3)),
    )
    assert [found(table, host, "/") for host in ("a.foo.com", "x.com")] == ["all", "all"]
    assert found(table, "a.foo.com", "/", "POST") == "none"
    table.remove(["*"], ["/"], named("all", priority=2))
    assert [found(table, host, "/") for host in ("a.foo.com", "b.foo.com", "x.com")] == ["wild", "wild", None]


def test_a_host_that_does_not_fit_leaves_it_to_a_shorter_path() -> None:
    table = table_of((["foo.com"], ["/a"], named("other")), ([], ["/*"], named("any")))
    assert found(table, "bar.com", "/a") == "any"


def test_a_host_with_a_port_is_compared_with_the_host_header() -> None:
    table = table_of((["foo.com:8080"], ["/"], named("port")), (["foo.com"], ["/x"], named("plain")))
    table.add(["FOO.com:1".lower()], ["/"], named("other"))
    for authority, id in (
        ("foo.com:8080", "port"),
        ("FOO.com:8080", "port"),
        ("foo.com", None),
        ("foo.com:1", "other"),
    ):
        candidate = table.match(request("GET", "/", host=authority))
        assert (candidate.id if candidate is not None else None) == id
    assert table.match(request("GET", "/x", host="foo.com:8080")) is not None


def test_longer_uris_of_one_beginning_come_first() -> None:
    table = table_of(([], ["/a/*"], named("1")), ([], ["/a/*/b"], named("2")), ([], ["/a/*/b", "/a/*/c"], named("3")))
    assert [found(table, "", path) for path in ("/a/x/b", "/a/x/c", "/a/x")] == ["2", "3", "1"]
    table.remove([], ["/a/*/b"], named("2"))
    assert [found(table, "", path) for path in ("/a/x/b", "/a/x/c")] == ["3", "3"]


def test_parameters_take_a_segment() -> None:
    table = table_of(([], ["/user/:name"], named("one")), ([], ["/user/:name/age"], named("age")), with_parameters=True)
    assert [found(table, "", path) for path in ("/user/x", "/user/x/age", "/user/", "/user/x/y")] == [
        "one",
        "age",
        None,
        None,
    ]


def test_a_route_is_removed_from_everywhere() -> None:
    entry: Entry = (["a", "*.b", "a"], ["/x", "/y/*", "/z/*/q", "/x"], named("1"))
    table = table_of(entry)
    assert [candidate.id for candidate in table] == ["1"] * 6
    table.remove(*entry)
    assert list(table) == [] and not table._index
    with pytest.raises(KeyError):
        table.remove(*entry)


def test_removing_another_route_is_an_error() -> None:
    table = table_of((["a"], ["/x"], named("1")))
    for hosts, id in ((["b"], "1"), (["*.a"], "1"), ([], "1"), (["a"], "2")):
        with pytest.raises(KeyError):
            table.remove(hosts, ["/x"], named(id))


def test_one_path_of_many_hosts_costs_what_one_host_has() -> None:
    def shared_path(count: int) -> UriTable[Named]:
        return table_of(*(([f"h{n}.com", f"*.w{n}.com"], ["/", "/api/*"], named(str(n))) for n in range(count)))

    small, large = shared_path(10), shared_path(20_000)
    for host, path in (("h7.com", "/"), ("x.w7.com", "/api/x"), ("none.com", "/")):
        one = asked(host, path)
        assert calls(partial(large.match, one)) <= calls(partial(small.match, one)) + 12


HOSTS = ["a.com", "b.a.com", "*.a.com", "*a.com", "*"]
URIS = ["/", "/*", "/a", "/a*", "/a/*", "/a/*/b", "/*/b", "/:x", "/:x/b", "/a/:x", "/a/:x/*", "*"]
ROUTES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(HOSTS), max_size=2, unique=True),
        st.lists(st.sampled_from(URIS), min_size=1, max_size=3, unique=True),
        st.sets(st.sampled_from(["GET", "POST"]), max_size=1),
        st.integers(0, 1),
    ),
    max_size=12,
)


def by_definition(entries: list[Entry], host: str, path: str, method: str) -> str | None:
    """The rule, written as a sort of all (route, path) pairs that fit."""
    fitting = []
    for hosts, uris, route in entries:
        if route.methods is not None and method not in route.methods:
            continue
        if hosts and not any(
            pattern == host or (pattern[0] == "*" and host.endswith(pattern[1:])) for pattern in hosts
        ):
            continue
        for uri in uris:
            parts = ["[^/]+" if part[:1] == ":" else re.escape(part).replace(r"\*", ".*") for part in uri.split("/")]
            if re.fullmatch("/".join(parts), path, re.DOTALL):
                literal = re.split(r"\*|(?<=/):", uri)[0]
                is_exact = literal == uri
                fitting.append((not is_exact, -len(literal), -route.priority, -len(uri), route.id))
    return min(fitting)[-1] if fitting else None


@given(ROUTES, st.sets(st.integers(0, 11)), st.sampled_from(["a.com", "b.a.com", "c.b.a.com", "x"]))
def test_it_matches_by_the_rule_also_after_removals(
    drawn: list[tuple[list[str], list[str], set[str], int]], gone: set[int], host: str
) -> None:
    entries: list[Entry] = [
        (hosts, uris, named(str(id), *methods, priority=priority))
        for id, (hosts, uris, methods, priority) in enumerate(drawn)
    ]
    table = table_of(*entries, with_parameters=True)
    for id in gone:
        if id < len(entries):
            table.remove(*entries[id])
    kept = [entry for id, entry in enumerate(entries) if id not in gone]
    for path in ("/", "/a", "/a/b", "/a/b/b", "/a/c/b", "/b", "/x/b", "/a/", ""):
        for method in ("GET", "POST"):
            assert found(table, host, path, method) == by_definition(kept, host, path, method)
