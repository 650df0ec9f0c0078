"""Shared fields."""

import pytest

from control.model.fields import IP, optional_id, text_of_id
from control.model.schema import compile_schema


@pytest.mark.parametrize(("id", "text"), [("a", "a"), (1, "1"), (1.0, "1"), ("01", "01")])
def test_ids_are_compared_as_text(id: str | int | float, text: str) -> None:
    assert text_of_id(id) == text


def test_a_missing_id_is_none() -> None:
    assert (optional_id({"x": 1}, "x"), optional_id({}, "x")) == ("1", None)


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8", "fe80::1/128"])
def test_addresses_and_networks_pass(address: str) -> None:
    assert compile_schema(IP)(address) is None


@pytest.mark.parametrize("address", ["", "10.0.0", "10.0.0.256", "10.0.0.0/33", "a.b", "10.0.0.1:80", 5, "10.0.0.0/"])
def test_what_is_no_address_is_refused(address: object) -> None:
    assert compile_schema(IP)(address) == "object matches none of the required"
