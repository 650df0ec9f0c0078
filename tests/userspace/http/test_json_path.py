from typing import Any

import pytest

from userspace.http.json_path import MAX_FOUND, compile_path

DOCUMENT = {
    "model": "m",
    "n": 0,
    "messages": [{"role": "user", "content": [{"type": "text"}]}, {"role": "bot"}],
    "a": {"b": {"c": 1}, "x y": 2},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("model", "m"),
        ("n", 0),
        ("a.b.c", 1),
        ("a.b", {"c": 1}),
        ("a.none.c", None),
        ("model.c", None),
        ("messages[0].role", ["user"]),
        ("messages[-1].role", ["bot"]),
        ("messages[7].role", None),
        ("messages[*].role", ["user", "bot"]),
        ("messages[*].content[*].type", ["text"]),
        ("a['x y']", [2]),
        ('a["x y"]', [2]),
        ("a.*", [{"c": 1}, 2]),
        ("a..c", [1]),
        ("..role", ["user", "bot"]),
        ("..none", None),
    ],
)
def test_a_path_finds_its_value(path: str, found: Any) -> None:
    assert compile_path(path)(DOCUMENT) == found


@pytest.mark.parametrize("path", ["a[", "a[x]", "a[']", "a[*", "a[1:2]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="bad path"):
        compile_path(path)


def test_it_looks_at_no_more_than_it_may() -> None:
    assert len(compile_path("a[*]")({"a": list(range(5000))})) == MAX_FOUND
    assert len(compile_path("..b")({"a": [{"b": number} for number in range(5000)]})) == MAX_FOUND
    assert compile_path("..none")({"a": [[[number]] for number in range(50_000)]}) is None
