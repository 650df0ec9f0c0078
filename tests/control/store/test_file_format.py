import pytest

from control.store.file_format import FileError, Item, has_end, parse


def test_lists_are_read_with_numbers_and_lines() -> None:
    parsed = parse(b"routes:\n  - id: a\n  - id: b\nupstreams: []\nservices:\n#END\n")
    assert parsed.items == (Item("routes", 1, 2, {"id": "a"}), Item("routes", 2, 3, {"id": "b"}))
    assert parsed.kinds == {"routes": 1, "upstreams": 4, "services": 5} and parsed.has_end


def test_documents_go_on_counting() -> None:
    parsed = parse(b"routes: [{id: a}]\n---\nid: b\nkind: routes\n---\nroutes: [{id: c}]\n")
    assert [(item.number, item.value) for item in parsed.items] == [
        (1, {"id": "a"}),
        (2, {"id": "b"}),
        (3, {"id": "c"}),
    ]


@pytest.mark.parametrize(
    ("raw", "ends"),
    [
        (b"a: 1\n#END", True), (b"a: 1\n #END \n\n", True), (b"#END", True), (b"a: 1\r\n#END\r\n", True),
        (b"a: 1 #END", False), (b"#END\na: 1\n", False), (b"a: 1\n##END", False), (b"a: 1\n#EN", False), (b"", False),
    ],
)  # fmt: skip
def test_the_end_is_a_line_of_its_own_and_the_last(raw: bytes, ends: bool) -> None:
    assert has_end(raw) is ends


def test_versions_of_apisix_are_passed_over() -> None:
    assert parse(b"routes: []\nroutes_conf_version: 5\n").kinds == {"routes": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{WHERE}}", "127.0.0.1"),
        ("${{ WHERE }}", "127.0.0.1"),
        ("http://${{WHERE}}:${{PORT}}/", "http://127.0.0.1:80/"),
        ("${{PORT}}", 80),
        ("'${{PORT}}'", 80),
        ("${{ON}}", True),
        ("${{MISSING:=7}}", 7),
        ("${{MISSING:=}}", ""),
        ("${{PORT:=7}}", 80),
        ("${{MISSING:=a b}}", "a b"),
        ("$PORT ${PORT} {{PORT}}", "$PORT ${PORT} {{PORT}}"),
        ("${{YAML}}", "a: [b"),
    ],
)
def test_the_environment_is_filled_in_as_apisix_does(text: str, value: object) -> None:
    environ = {"WHERE": "127.0.0.1", "PORT": "80", "ON": "true", "YAML": "a: [b"}
    assert parse(f"routes:\n  - x: {text}\n".encode(), environ).items[0].value == {"x": value}


def test_the_environment_is_filled_into_keys_too() -> None:
    parsed = parse(b"upstreams: [{nodes: {'${{WHERE}}:80': 1}}]", {"WHERE": "h"})
    assert parsed.items[0].value == {"nodes": {"h:80": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("routes: 5", 'line 1: "routes": expected a list of objects'),
        ("a: 1\n---\n- x\n", 'line 1: "a": expected a list'),
        ("- x\n", "line 1: a document is a map of kinds"),
        ("routes:\n  - 7\n", 'line 2: "routes": expected an object, got int'),
        ("routes:\n  - a: 1\n    b: ${{NONE}}\n", "line 3: there is no environment variable NONE"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        parse(text.encode(), {})


def test_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.store.file_format.MAX_BYTES", 10)
    with pytest.raises(FileError, match="11 bytes, at most 10"):
        parse(b"routes: []\n")
