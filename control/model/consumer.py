"""Consumer: somebody who sends requests, known by what an authentication plugin finds in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from control.model.errors import ModelError
from control.model.fields import DESC, ID, LABELS, PLUGINS, TIMESTAMP, optional_id
from control.model.plugins import check_plugins
from control.model.schema import check_configuration, on_demand

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

_check = on_demand(SCHEMA)


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


@dataclass(frozen=True, slots=True)
class Consumer:
    """`plugins`: how it is known, and what its requests pass besides the route's; they outrank its group's and the
    route's. `labels`: `custom_id` among them goes to endpoints."""

    username: str
    group_id: str | None = None
    plugins: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored consumer; `id` stands in where the object has no username. Raises ModelError."""
        if id is not None and isinstance(doc, dict):
            doc = {"username": id, **doc}
        check_consumer(doc)
        assert isinstance(doc, dict)
        return cls(doc["username"], optional_id(doc, "group_id"), doc.get("plugins", {}), doc.get("labels", {}))
