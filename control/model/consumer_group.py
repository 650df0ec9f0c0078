"""Consumer group: plugins that its consumers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.fields import COMMON, PLUGINS, text_of_id
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, on_demand

SCHEMA = {
    "type": "object",
    "properties": {**COMMON, "plugins": PLUGINS},
    "required": ["id", "plugins"],
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)


def check_consumer_group(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    check_plugins(doc["plugins"])


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """`plugins`: name -> configuration, for those plugins that a consumer of the group does not have itself."""

    id: str
    plugins: Mapping[str, Any]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored group; `id` stands in where the object has none. Raises ModelError."""
        if id is not None and isinstance(doc, dict):
            doc = {"id": id, **doc}
        check_consumer_group(doc)
        assert isinstance(doc, dict)
        return cls(text_of_id(doc["id"]), doc["plugins"])
