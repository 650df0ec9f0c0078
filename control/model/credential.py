"""Credential: one more way to know a consumer. It stands below the consumer in the store."""

from control.model.consumer import check_consumer_plugins
from control.model.errors import ModelError
from control.model.fields import COMMON, ID, PLUGINS
from control.model.schema import check_configuration, compile_schema

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

_check = compile_schema(SCHEMA)


def check_credential(doc: object) -> None:
    """Raise ModelError unless `doc` is one."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    plugins = doc.get("plugins", {})
    check_consumer_plugins(plugins)
    if plugins.keys() - IDENTITIES.keys():
        raise ModelError("only supports auth type plugins in consumer credential")
