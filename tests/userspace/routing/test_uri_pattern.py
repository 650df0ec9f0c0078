import time

import pytest

from userspace.routing.uri_pattern import read_uri


@pytest.mark.parametrize(
    ("uri", "covered", "not_covered"),
    [
        ("/a", ["/a"], ["/a/", "/ab", "/"]),
        ("/a*", ["/a", "/ab", "/a/b"], ["/", "/b"]),
        ("/a/*", ["/a/", "/a/b/c"], ["/a", "/ab"]),
        ("*", ["", "/x", "*"], []),
        ("/a*b", ["/a", "/ab", "/a/x"], ["/b"]),
        ("/a/*/b", ["/a/x/b", "/a/x/y/b", "/a//b"], ["/a/b", "/a/x/bc", "/a/x/b/"]),
        ("/a/*/b/*", ["/a/x/b/", "/a/x/b/y"], ["/a/x/b"]),
        ("/a/*name", ["/a/", "/a/x/y"], ["/a"]),
        ("/a/:b", ["/a/:b"], ["/a/x"]),
        ("/file:list*", ["/file:list", "/file:listAll"], ["/file", "/filexlist"]),
        ("/a.c/*/d+e", ["/a.c/x/d+e"], ["/a.c/x/dde", "/abc/x/d+e"]),
        ("/ü/*/ä", ["/ü/x/ä"], ["/ü/x/a"]),
    ],
)
def test_a_uri_covers_paths(uri: str, covered: list[str], not_covered: list[str]) -> None:
    pattern = read_uri(uri)
    assert [path for path in [*covered, *not_covered] if pattern.covers(path)] == covered


@pytest.mark.parametrize(
    ("uri", "covered", "not_covered"),
    [
        ("/user/:name", ["/user/json", "/user/a b"], ["/user/", "/user/a/b", "/user"]),
        ("/:a/:b/end", ["/1/2/end"], ["/1/end", "/1//end", "/1/2/end/"]),
        ("/:a/", ["/x/"], ["/x", "/x/y/"]),
        ("/:a/*rest", ["/x/", "/x/y/z"], ["/x"]),
        ("/file:list", ["/file:list"], ["/file"]),
        ("/plain", ["/plain"], ["/plain/"]),
    ],
)
def test_a_colon_is_a_parameter_where_the_mode_says_so(uri: str, covered: list[str], not_covered: list[str]) -> None:
    pattern = read_uri(uri, with_parameters=True)
    assert [path for path in [*covered, *not_covered] if pattern.covers(path)] == covered


@pytest.mark.parametrize(
    ("uri", "path", "taken"),
    [
        ("/user/:name/age/:n", "/user/json/age/5", {"name": "json", "n": "5"}),
        ("/a/*", "/a/b/c", {":ext": "b/c"}),
        ("/a/*rest", "/a/b/c", {"rest": "b/c"}),
        ("/a/*/b/:c", "/a/x/y/b/z", {":ext": "x/y", "c": "z"}),
        ("/a*", "/abc", {}),
        ("/a", "/a", {}),
    ],
)
def test_names_take_their_part_of_a_path(uri: str, path: str, taken: dict[str, str]) -> None:
    assert read_uri(uri, with_parameters=True).taken(path) == taken


def test_many_stars_take_no_more_time_than_the_path_is_long() -> None:
    pattern = read_uri("/a/" + "*/b/" * 12 + "end")
    started = time.process_time()
    assert not pattern.covers("/a/" + "x/b/" * 4000)
    assert time.process_time() - started < 1
