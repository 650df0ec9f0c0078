"""Consumer group: plugins that its consumers share."""

from control.model.fields import COMMON, PLUGINS
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, compile_schema

SCHEMA = {
    "type": "object",
    "properties": {**COMMON, "plugins": PLUGINS},
    "required": ["id", "plugins"],
    "additionalProperties": False,
}

_check = compile_schema(SCHEMA)


def check_consumer_group(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    check_plugins(doc["plugins"])
