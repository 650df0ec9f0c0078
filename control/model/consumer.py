"""Consumer: somebody who sends requests, known by what an authentication plugin finds in them."""

from collections.abc import Mapping
from typing import Any

from control.model.errors import ModelError
from control.model.fields import DESC, ID, LABELS, PLUGINS, TIMESTAMP
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, compile_schema

USERNAME = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[a-zA-Z0-9_\\-]+$"}
SCHEMA = {
    "type": "object",
    "properties": {
        "username": USERNAME,
        "group_id": ID,
        "plugins": PLUGINS,
        "desc": DESC,
        "labels": LABELS,
        "id": ID,
        "create_time": TIMESTAMP,
        "update_time": TIMESTAMP,
    },
    "required": ["username"],
    "additionalProperties": False,
}

_check = compile_schema(SCHEMA)


def check_consumer(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    check_consumer_plugins(doc.get("plugins", {}))


def check_consumer_plugins(plugins: Mapping[str, Any]) -> None:
    """Raise ModelError for the first plugin that does not say how a consumer is known, or what it gets."""
    try:
        check_plugins(plugins, "consumer")
    except ModelError as problem:
        raise ModelError(f"invalid plugins configuration: {problem}") from None
