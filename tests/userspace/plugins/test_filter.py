import pytest

from userspace.plugins.filter import ATTRIBUTES, EVERY_REQUEST
from userspace.plugins.registry import FILTERS


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_footprint_names_only_what_a_splice_can_watch(name: str) -> None:
    footprint = FILTERS[name].footprint({})
    assert footprint is EVERY_REQUEST or footprint <= ATTRIBUTES
