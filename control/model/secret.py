"""Secret: where gateways fetch values from that objects name as `$secret://MANAGER/ID/KEY`."""

from collections.abc import Mapping

from control.model.errors import ModelError
from control.model.schema import Schema, check_configuration, on_demand

_TEXT = {"type": "string"}
_URL = {"type": "string", "pattern": "^[^\\/]+:\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?"}
VAULT = {
    "type": "object",
    "properties": {"uri": _URL, "prefix": _TEXT, "token": _TEXT, "namespace": _TEXT},
    "required": ["uri", "prefix", "token"],
}
AWS = {
    "type": "object",
    "properties": {
        "access_key_id": _TEXT,
        "secret_access_key": _TEXT,
        "session_token": _TEXT,
        "region": _TEXT,
        "endpoint_url": _URL,
    },
    "required": ["access_key_id", "secret_access_key"],
}
GCP = {
    "type": "object",
    "properties": {
        "auth_config": {
            "type": "object",
            "properties": {
                "client_email": _TEXT,
                "private_key": _TEXT,
                "project_id": _TEXT,
                "token_uri": _TEXT,
                "scope": {"type": "array", "items": _TEXT},
                "entries_uri": _TEXT,
            },
            "required": ["client_email", "private_key", "project_id"],
        },
        "ssl_verify": {"type": "boolean"},
        "auth_file": _TEXT,
    },
    "oneOf": [{"required": ["auth_config"]}, {"required": ["auth_file"]}],
}
SCHEMAS: Mapping[str, Schema] = {"vault": VAULT, "aws": AWS, "gcp": GCP}

_CHECKS = {manager: on_demand(schema, references=True) for manager, schema in SCHEMAS.items()}


def check_secret(doc: object, manager: str) -> None:
    """Raise ModelError unless `doc` says how to reach a manager of this kind."""
    if manager not in _CHECKS:
        raise ModelError(f"invalid secret manager: {manager[:64]}")
    check_configuration(_CHECKS[manager], doc)
