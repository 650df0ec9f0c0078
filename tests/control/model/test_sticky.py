"""The sticky plugin's configuration, and its keys."""

import base64
from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.sticky import Sticky, StickyKeys

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def test_defaults_are_a_session_cookie_for_the_whole_site() -> None:
    assert Sticky.from_json({}) == Sticky("UNILB", "/", None, False, True, None)


def test_every_field_is_read() -> None:
    conf = {"cookie": "C", "path": "/x", "ttl": 5.0, "secure": True, "http_only": False, "same_site": "None"}
    assert Sticky.from_json(conf) == Sticky("C", "/x", 5, True, False, "None")


@pytest.mark.parametrize("secure", [{}, {"secure": False}])
def test_same_site_none_needs_secure(secure: dict[str, bool]) -> None:
    with pytest.raises(ModelError, match='property "same_site" validation failed: None needs "secure": true'):
        Sticky.from_json({"same_site": "None", **secure})


def test_keys_are_read_and_written() -> None:
    for doc in ({"current": TEXT}, {"current": TEXT, "previous": TEXT}):
        keys = StickyKeys.from_json(doc)
        assert keys == StickyKeys(KEY, KEY if "previous" in doc else None)
        assert keys.to_json() == doc


@pytest.mark.parametrize(
    "doc",
    [
        *(None, [], {}, {"current": 5}, {"current": ""}, {"current": "%%"}, {"current": TEXT[:-4]}),
        *({"current": TEXT, "previous": "x"}, {"current": TEXT, "next": TEXT}, {"current": "é"}),
    ],
)
def test_bad_keys_are_refused_and_not_shown(doc: Any) -> None:
    with pytest.raises(ModelError) as error:
        StickyKeys.from_json(doc)
    assert TEXT[:-4] not in str(error.value)
