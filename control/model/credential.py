"""Credential: one more way to know a consumer. It stands below the consumer in the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from control.model.consumer import check_consumer_plugins
from control.model.errors import ModelError
from control.model.fields import COMMON, ID, PLUGINS
from control.model.schema import check_configuration, on_demand

# What an authentication plugin knows a consumer by: of two consumers, no two values may be equal.
IDENTITIES = {
    "key-auth": "key",
    "basic-auth": "username",
    "jwt-auth": "key",
    "hmac-auth": "key_id",
    "ldap-auth": "user_dn",
    "jwe-decrypt": "key",
    "wolf-rbac": "appid",
}
# In stored form and in files the id may carry the consumer's name.
_LONG_ID = {
    "type": "string",
    "minLength": 15,
    "maxLength": 128,
    "pattern": "^[a-zA-Z0-9-_]+/credentials/[a-zA-Z0-9-_.]+$",
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "id": {"oneOf": [ID, _LONG_ID]},
        "plugins": {**PLUGINS, "maxProperties": 1},
    },
    "additionalProperties": False,
}

_check = on_demand(SCHEMA)


def check_credential(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    plugins = doc.get("plugins", {})
    check_consumer_plugins(plugins)
    if plugins.keys() - IDENTITIES.keys():
        raise ModelError("only supports auth type plugins in consumer credential")


@dataclass(frozen=True, slots=True)
class Credential:
    """`id` is its own, without its consumer's name; `plugins` has at most one."""

    username: str
    id: str
    plugins: Mapping[str, Any]

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored credential; `id` is "jack/credentials/x", its place in the store. Raises ModelError."""
        check_credential(doc)
        assert isinstance(doc, dict)
        username, _, own = (id or str(doc.get("id", ""))).partition("/credentials/")
        return cls(username, own, doc.get("plugins", {}))
