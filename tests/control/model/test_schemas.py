"""The table of all schemas."""

from control.model.schema import compile_schema
from control.model.schemas import CHECKS, RESOURCES, SCHEMAS


def test_every_schema_can_be_checked() -> None:
    for schema in SCHEMAS.values():
        compile_schema(schema)
    for check in CHECKS.values():
        check({})


def test_every_resource_has_a_check_under_its_collections_name() -> None:
    assert {f"{kind}s" for kind in RESOURCES} < CHECKS.keys()
    assert CHECKS["routes"]({"uri": "/a", "plugins": {"unknown": {}}}) is None
    assert CHECKS["routes"]({"uri": 1}) == 'property "uri" validation failed: wrong type: expected string, got number'
