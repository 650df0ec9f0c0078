import pytest

from tests.requests import request
from userspace.plugins.header_operations import HeaderOperations, value_text


def test_a_flat_object_means_set() -> None:
    operations = HeaderOperations({"X-A": "1", "X-B": 2.0})
    assert [(name, [one.fill(request()) for one in values]) for name, values in operations.set] == [
        (b"X-A", ["1"]),
        (b"X-B", ["2"]),
    ]
    assert not operations.add and not operations.remove


def test_a_header_may_be_called_as_a_group_is() -> None:
    assert [name for name, _ in HeaderOperations({"add": "1", "remove": "x"}).set] == [b"add", b"remove"]


def test_groups_take_lists_of_values_and_lines() -> None:
    operations = HeaderOperations({"add": {"X-A": ["1", "$arg_x"]}, "set": {"X-B": 7}, "remove": ["X-C"]})
    assert [one.fill(request("GET", "/?x=2")) for one in operations.add[0][1]] == ["1", "2"]
    assert operations.remove == [b"X-C"]
    lines = HeaderOperations({"add": ["Set-Cookie: a=b; Max-Age=1"]})
    assert [(name, values[0].fill(request())) for name, values in lines.add] == [(b"Set-Cookie", "a=b; Max-Age=1")]


@pytest.mark.parametrize("line", ["no colon", ": value", "a b: value"])
def test_a_line_without_a_name_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="name: value"):
        HeaderOperations({"add": [line]})


def test_numbers_are_written_as_lua_does() -> None:
    assert [value_text(value) for value in (1, 1.0, 1.5, "x")] == ["1", "1", "1.5", "x"]
