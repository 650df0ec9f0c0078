import pytest

from control.model.errors import ModelError
from control.model.route import Route
from control.model.service import Service
from control.model.splice import POLICIES
from control.model.stream_route import StreamRoute

READERS = (Route.from_json, Service.from_json, StreamRoute.from_json)


@pytest.mark.parametrize("read", READERS)
def test_a_policy_is_read_where_it_is_given(read: type[Route]) -> None:
    doc = {"id": "1", **({"uri": "/", "plugins": {}} if read == Route.from_json else {})}
    assert [read({**doc, "splice": policy}).splice for policy in POLICIES] == list(POLICIES)
    assert read(doc).splice is None
    with pytest.raises(ModelError, match='property "splice" validation failed: matches none of the enum values'):
        read({**doc, "splice": "on"})
