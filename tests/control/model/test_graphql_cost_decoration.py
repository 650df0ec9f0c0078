"""GraphQL cost decorations."""

from typing import Any

import pytest

from control.model.errors import ModelError
from control.model.graphql_cost_decoration import check_decoration


@pytest.mark.parametrize(
    "doc",
    [
        {"field_path": "Product"},
        {"field_path": "Query.products.nodes._reviews2", "id": 5, "service_id": "s1"},
        {"field_path": "A.b", "add_value": 0, "mul_value": 1.5, "add_arguments": ["a"], "mul_arguments": []},
        {"field_path": "A", "name": "n", "desc": "d", "labels": {"a": "b"}, "create_time": 1, "update_time": 2},
    ],
)
def test_it_passes(doc: dict[str, Any]) -> None:
    check_decoration(doc)


@pytest.mark.parametrize(
    ("doc", "says"),
    [
        (None, "wrong type"),
        ({}, 'property "field_path" is required'),
        ({"field_path": 5}, '"field_path"'),
        ({"field_path": ""}, '"field_path"'),
        ({"field_path": "A."}, '"field_path"'),
        ({"field_path": ".a"}, '"field_path"'),
        ({"field_path": "A..b"}, '"field_path"'),
        ({"field_path": "1a"}, '"field_path"'),
        ({"field_path": "A\n"}, '"field_path"'),
        ({"field_path": "A", "add_value": -1}, '"add_value" validation failed: expected -1 to be at least 0'),
        ({"field_path": "A", "mul_value": "2"}, '"mul_value"'),
        ({"field_path": "A", "add_arguments": [""]}, '"add_arguments"'),
        ({"field_path": "A", "mul_arguments": "first"}, '"mul_arguments"'),
        ({"field_path": "A", "cost": 1}, "additional properties forbidden, found cost"),
    ],
)
def test_it_is_refused_and_named(doc: Any, says: str) -> None:
    with pytest.raises(ModelError) as refused:
        check_decoration(doc)
    assert says in str(refused.value) and str(refused.value).startswith("invalid configuration: ")
