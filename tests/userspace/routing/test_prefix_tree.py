import pytest
from hypothesis import given
from hypothesis import strategies as st

from userspace.routing.prefix_tree import PrefixTree

TEXTS = st.text(alphabet="ab/é", max_size=8)


def tree_of(*prefixes: str) -> PrefixTree[str]:
    tree: PrefixTree[str] = PrefixTree()
    for prefix in prefixes:
        tree.set(prefix, prefix or "empty")
    return tree


def test_all_prefixes_of_a_text_come_shortest_first() -> None:
    tree = tree_of("/api/v1/", "/", "/api", "/api/v2/", "", "/apix")
    assert tree.matching("/api/v1/users") == ["empty", "/", "/api", "/api/v1/"]
    assert tree.matching("/api") == ["empty", "/", "/api"]
    assert tree.matching("/ap") == ["empty", "/"]
    assert tree.matching("") == ["empty"]


def test_a_split_edge_leaves_both_sides_reachable() -> None:
    tree = tree_of("/abcd", "/abxy", "/ab")
    assert tree.matching("/abcd") == ["/ab", "/abcd"]
    assert tree.matching("/abxyz") == ["/ab", "/abxy"]
    assert tree.matching("/abc") == ["/ab"]
    assert (tree.get("/a"), tree.get("/ab"), tree.get("/abc")) == (None, "/ab", None)


def test_setting_again_replaces() -> None:
    tree = tree_of("/a")
    tree.set("/a", "new")
    assert tree.matching("/a") == ["new"]


def test_removing_what_is_not_there_is_an_error() -> None:
    for missing in ("/", "/ab", "/abcd", "x", ""):
        with pytest.raises(KeyError):
            tree_of("/abc", "/abd").remove(missing)


def shape(tree: PrefixTree[str]) -> list[tuple[str, str]]:
    return sorted(tree)


def nodes(tree: PrefixTree[str]) -> int:
    stack, count = [tree._root], 0
    while stack:
        node = stack.pop()
        count += 1
        stack.extend(node.children.values())
    return count


@given(st.lists(st.tuples(st.booleans(), TEXTS), max_size=40), TEXTS)
def test_it_answers_as_a_list_of_prefixes_would(steps: list[tuple[bool, str]], text: str) -> None:
    tree: PrefixTree[str] = PrefixTree()
    model: set[str] = set()
    for add, prefix in steps:
        if add:
            tree.set(prefix, prefix + "!")
            model.add(prefix)
        elif prefix in model:
            tree.remove(prefix)
            model.remove(prefix)
    assert tree.matching(text) == [prefix + "!" for prefix in sorted(model, key=len) if text.startswith(prefix)]
    assert shape(tree) == sorted((prefix, prefix + "!") for prefix in model)
    assert bool(tree) is bool(model)
    assert all(tree.get(prefix) == prefix + "!" for prefix in model)


@given(st.lists(TEXTS, unique=True, max_size=20), st.data())
def test_removal_leaves_no_trace(prefixes: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(prefixes)) if prefixes else st.just(set()))
    tree = tree_of(*prefixes)
    for prefix in gone:
        tree.remove(prefix)
    kept = tree_of(*(prefix for prefix in prefixes if prefix not in gone))
    assert (shape(tree), nodes(tree)) == (shape(kept), nodes(kept))
