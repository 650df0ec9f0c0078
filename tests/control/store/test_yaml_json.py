from typing import Any

import pytest

from control.store.yaml_json import MAX_DEPTH, FileError, documents, plain


def read(text: str) -> list[dict[str, Any]]:
    found = documents(text.encode(), lambda text, line: text)
    return [{key: value for key, value, _, _ in pairs or ()} for _, pairs in found]


def test_maps_lists_texts_and_numbers_are_json() -> None:
    assert read("a: 1\nb: [x, 1.5, true, null, ~]\nc: {d: -3}\n") == [
        {"a": 1, "b": ["x", 1.5, True, None, None], "c": {"d": -3}}
    ]


@pytest.mark.parametrize(
    "text", ["on", "yes", "12:34:56:12:34:56", "2020-01-01", "0755", "0x1F", "1_000", "192.168.0.1", "1.2.3", "e3", "-"]
)
def test_what_only_old_yaml_reads_otherwise_stays_text(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-7", -7), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5)])
def test_numbers_are_numbers(text: str, value: float) -> None:
    assert plain(text) == value and isinstance(plain(text), type(value))


def test_quotes_and_tags_make_texts() -> None:
    assert read("a: '1'\nb: !!str 1\nc: \"true\"\nd: |\n  1\n") == [{"a": "1", "b": "1", "c": "true", "d": "1\n"}]


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert read("127.0.0.1:80: 1\n200: a\ntrue: b\n") == [{"127.0.0.1:80": 1, "200": "a", "true": "b"}]


def test_lines_of_values_and_of_the_items_of_lists_are_known() -> None:
    ((start, pairs),) = documents(b"\na:\n  - x: 1\n    y: 2\n  - z\nb: 1\n", lambda text, line: text)
    assert pairs is not None
    assert (start, [(key, line, lines) for key, _, line, lines in pairs]) == (2, [("a", 2, [3, 5]), ("b", 6, [])])


def test_aliases_and_merge_keys_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\nmany: {<<: [*b, {x: 9, z: 4}]}\nsame: *b\n"
    (found,) = read(text)
    assert found["one"] == {"x": 1, "y": 3} and found["many"] == {"x": 1, "y": 2, "z": 4}
    assert found["same"] == found["base"]


def test_documents_are_separate_and_empty_ones_are_passed_over() -> None:
    assert read("---\na: 1\n---\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert list(documents(b"- a\n", lambda text, line: text)) == [(1, None)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 'line 3: key "a" is there twice'),
        ("a: {x: 1, x: 2}", 'line 1: key "x" is there twice'),
        ("a: [1\n", "line 2: did not find expected"),
        ("a: b: c\n", "line 1: mapping values are not allowed"),
        ("? [a]\n: 1\n", "line 1: a key is a text"),
        ("a: !!binary aGk=", "line 1: .* has no place in JSON"),
        ("a: !!python/object:os.system [x]", "line 1: the tag .* has no place in JSON"),
        ("a: !!int x", "has no place in JSON"),
        ("a: .inf", "line 1: .inf is no number in JSON"),
        ("a: .NaN", "is no number in JSON"),
        ("a: 1e999", "is no number in JSON"),
        ("a: *none", r"line 1: \*none has no complete &none before it"),
        ("a: &a [*a]", r"\*a has no complete &a before it"),
        ("a: {<<: 5}", "<< takes a map"),
        ("a: \x00", "unacceptable character"),
    ],
)
def test_what_cannot_be_json_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        read(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(FileError):
        list(documents(b"a: \xff\xfe\xfa", lambda text, line: text))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_the_stack_ends(opening: str) -> None:
    with pytest.raises(FileError, match=f"nested deeper than {MAX_DEPTH}"):
        read("a:\n  " + opening * 100_000)


def test_a_few_lines_cannot_stand_for_billions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.store.yaml_json.MAX_VALUES", 10_000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(FileError, match="line 4: more than 10000 values"):
        read("\n".join(lines))
