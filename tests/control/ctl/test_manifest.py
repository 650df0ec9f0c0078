import pytest

from control.ctl.manifest import read_manifest
from control.store.yaml_json import FileError


def names(text: str) -> list[tuple[str, str]]:
    return [wanted.name for wanted in read_manifest(text.encode(), None).objects]


def test_lists_by_kind_and_documents_with_a_kind_give_the_same() -> None:
    as_lists = "routes:\n  - {id: 1, uri: /}\nupstreams:\n  - {id: u, nodes: {}}\n"
    as_documents = "kind: route\nid: 1\nuri: /\n---\nkind: upstreams\nid: u\nnodes: {}\n"
    assert names(as_lists) == names(as_documents) == [("routes", "1"), ("upstreams", "u")]


def test_the_id_is_not_part_of_what_is_sent_and_lines_are_known() -> None:
    (first, second) = read_manifest(b"routes:\n  - id: 1\n    uri: /\n  - id: 2\n    uri: /b\n", None).objects
    assert first.doc == {"uri": "/"} and (first.line, second.line) == (2, 4)


def test_consumers_go_by_their_username_and_credentials_stand_among_them() -> None:
    text = "consumers:\n  - {username: jack}\n  - {id: jack/credentials/c, plugins: {}}\n"
    manifest = read_manifest(text.encode(), None)
    assert [w.name for w in manifest.objects] == [("consumers", "jack"), ("credentials", "jack/credentials/c")]
    assert manifest.objects[0].doc == {"username": "jack"}
    assert manifest.kinds == {"consumers", "credentials"}


def test_a_kind_with_an_empty_list_is_named() -> None:
    assert read_manifest(b"routes: []\nupstreams:\n", None).kinds == {"routes", "upstreams"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rotues: []\n", 'line 1: unknown kind "rotues"'),
        ("routes:\n  - {uri: /}\n", "line 2: route number 1 has no id"),
        ("routes:\n  - {id: true, uri: /}\n", "line 2: route number 1 has no id"),
        ("routes:\n - {id: 1}\n - {id: '1'}\n", "line 3: routes/1 is there twice, first in line 2"),
        ("plugins:\n - {name: x}\n", 'line 1: "plugins" is a list of names'),
        ("credentials:\n - {id: x}\n", "line 2: credential \\[x\\]: expected an id"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        read_manifest(text.encode(), None)


def test_the_environment_is_used_only_when_asked() -> None:
    text = b"routes:\n - {id: 1, desc: '${{WHO}}'}\n"
    assert read_manifest(text, None).objects[0].doc["desc"] == "${{WHO}}"
    assert read_manifest(text, {"WHO": "me"}).objects[0].doc["desc"] == "me"
