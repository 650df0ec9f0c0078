"""From what a map holds to what it should hold."""

import pytest

from userspace.node.reconcile import Operations, diff

ROWS = [
    ("nothing to nothing", {}, {}, Operations({}, ())),
    ("a new entry", {}, {b"a": b"1"}, Operations({b"a": b"1"}, ())),
    ("an entry too many", {b"a": b"1"}, {}, Operations({}, (b"a",))),
    ("another value", {b"a": b"1"}, {b"a": b"2"}, Operations({b"a": b"2"}, ())),
    ("the same", {b"a": b"1"}, {b"a": b"1"}, Operations({}, ())),
    ("all at once", {b"a": b"1", b"b": b"1"}, {b"b": b"2", b"c": b"3"}, Operations({b"b": b"2", b"c": b"3"}, (b"a",))),
]


@pytest.mark.parametrize(("name", "actual", "desired", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_diff(name: str, actual: dict[bytes, bytes], desired: dict[bytes, bytes], expected: Operations) -> None:
    assert diff(actual, desired) == expected


def test_counted_values_stay_the_kernels() -> None:
    assert diff({b"a": b"7", b"b": b"9"}, {b"a": b"0", b"c": b"0"}, keep_values=True) == Operations(
        {b"c": b"0"}, (b"b",)
    )
