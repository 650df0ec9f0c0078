import pytest
from hypothesis import given
from hypothesis import strategies as st

from userspace.config.objects import MAX_OVERLAY, Objects


@given(
    st.lists(st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.none(), st.integers()), max_size=4), max_size=8)
)
def test_it_is_the_dict_that_the_same_changes_make(changes: list[dict[str, int | None]]) -> None:
    objects: Objects[int] = Objects({"a": 1, "b": 2})
    model = {"a": 1, "b": 2}
    versions = [(objects, dict(model))]
    for change in changes:
        objects = objects.changed(change)
        model = {id: kept for id, kept in {**model, **change}.items() if kept is not None}
        versions.append((objects, dict(model)))
    for version, expected in versions:
        assert dict(version) == expected
        assert len(version) == len(expected)
        assert sorted(version) == sorted(expected)
        assert version == expected
        for id in "abcdef":
            assert (id in version) is (id in expected)
            assert version.get(id) == expected.get(id)


def test_a_missing_id_is_a_key_error() -> None:
    objects = Objects({"a": 1}).changed({"a": None})
    for id in ("a", "b"):
        with pytest.raises(KeyError):
            objects[id]


def test_a_small_change_copies_no_base_and_many_fold_into_one() -> None:
    base = {str(number): number for number in range(10_000)}
    objects = Objects(base)
    assert objects.changed({"0": 7})._base is base
    for number in range(MAX_OVERLAY + 1):
        objects = objects.changed({str(number): -1})
    assert objects._base is not base
    assert (len(objects), objects["0"], base["0"]) == (10_000, -1, 0)
