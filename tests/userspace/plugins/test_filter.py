import pytest

from userspace.http.footprint import HASHED, PATH, PEER, QUERY, Footprint
from userspace.plugins.filter import EVERY_REQUEST
from userspace.plugins.registry import FILTERS


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_footprint_names_only_what_a_splice_can_watch(name: str) -> None:
    footprint = FILTERS[name].footprint({})
    assert footprint is EVERY_REQUEST or not footprint.mask & ~(HASHED | PEER)


@pytest.mark.parametrize("name", ["basic-auth", "key-auth", "jwt-auth"])
def test_what_tells_endpoints_of_consumers_sees_every_request(name: str) -> None:
    assert FILTERS[name].footprint({}) is EVERY_REQUEST


def test_what_a_footprint_says_depends_on_the_configuration() -> None:
    footprint = FILTERS["redirect"].footprint
    assert footprint({"regex_uri": ["^/a", "/b"]}) == Footprint(PATH)
    assert footprint({"uri": "/b"}) is footprint({"http_to_https": True}) is EVERY_REQUEST
    assert FILTERS["uri-blocker"].footprint({}) == Footprint(PATH | QUERY)
