from typing import Any

import pytest

from control.model.eip import Eip
from control.model.errors import ModelError


def test_an_eip_names_a_vip_and_maybe_an_address() -> None:
    assert Eip.from_json({"id": 7, "vip": "web"}) == Eip("7", "", "web")
    assert Eip.from_json({"vip": 1, "address": "203.0.113.1"}, "e") == Eip("e", "203.0.113.1", "1")


@pytest.mark.parametrize("doc", [None, {}, {"vip": ""}, {"vip": "w", "address": "224.0.0.1"}, {"vip": "w", "x": 1}])
def test_others_are_refused(doc: Any) -> None:
    with pytest.raises(ModelError):
        Eip.from_json(doc)
