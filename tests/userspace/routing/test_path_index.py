import pytest

from tests.requests import asked
from tests.userspace.routing.candidates import Named, named
from userspace.routing.path_index import PathIndex


def index_of(*entries: tuple[str, Named]) -> PathIndex[Named]:
    index: PathIndex[Named] = PathIndex()
    for uri, candidate in entries:
        index.add(uri, candidate)
    return index


def found(index: PathIndex[Named], path: str, method: str = "GET") -> str | None:
    candidate = index.match(asked("", path, method))
    return candidate.id if candidate is not None else None


def test_an_exact_path_beats_any_prefix_whatever_the_priorities() -> None:
    index = index_of(("/a", named("exact")), ("/a*", named("prefix", priority=9)))
    assert (found(index, "/a"), found(index, "/ab")) == ("exact", "prefix")


def test_a_longer_prefix_beats_a_shorter_one_whatever_the_priorities() -> None:
    index = index_of(("/*", named("all", priority=9)), ("/a/*", named("a")), ("/a/b*", named("b")))
    assert [found(index, path) for path in ("/x", "/a/x", "/a/b", "/a")] == ["all", "a", "b", "all"]


def test_priority_then_id_orders_routes_of_one_path() -> None:
    for uri in ("/a", "/a*"):
        index = index_of((uri, named("2")), (uri, named("1")), (uri, named("3", priority=1)))
        assert found(index, "/a") == "3"
        index.remove(uri, named("3", priority=1))
        assert found(index, "/a") == "1"


def test_a_route_that_does_not_take_the_method_is_passed_over() -> None:
    index = index_of(("/a", named("get", "GET", priority=1)), ("/a", named("post", "POST")), ("/*", named("any")))
    assert [found(index, "/a", method) for method in ("GET", "POST", "PUT", "BREW")] == ["get", "post", "any", "any"]


def test_a_star_alone_matches_even_what_is_no_path() -> None:
    index = index_of(("*", named("all")))
    assert (found(index, "*"), found(index, "/a"), found(index, "")) == ("all", "all", "all")


def test_nothing_is_left_when_all_is_removed() -> None:
    index = index_of(("/a", named("1")), ("/a*", named("1")), ("/a*", named("2")))
    for uri, id in (("/a", "1"), ("/a*", "2"), ("/a*", "1")):
        assert index
        index.remove(uri, named(id))
    assert not index
    assert list(index) == []
    for uri in ("/a", "/a*"):
        with pytest.raises(KeyError):
            index.remove(uri, named("1"))


def test_removing_another_route_of_the_same_path_is_an_error() -> None:
    index = index_of(("/a", named("1")))
    for other in (named("0"), named("2"), named("1", priority=1)):
        with pytest.raises(KeyError):
            index.remove("/a", other)
    assert found(index, "/a") == "1"
