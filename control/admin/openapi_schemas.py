"""The schemas of an OpenAPI document: the resources' own, in the dialect of JSON Schema that OpenAPI 3.1 speaks."""

from collections.abc import Mapping
from typing import Any

from control.model import eip, fields, node, secret, ssl, upstream, vip, vpc
from control.model.schemas import RESOURCES

Doc = dict[str, Any]

# A string that gateways fetch the value of.
REFERENCE: Doc = {"type": "string", "pattern": "^\\$(secret|env|ENV)://"}
_OF_SCHEMAS = ("properties", "patternProperties")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf")
_SCHEMAS = ("items", "not", "if", "then", "else", "contains", "additionalProperties")
# What stands in several others is there once.
_SHARED = {id(upstream.SCHEMA): "Upstream", id(fields.PLUGINS): "Plugins"}
# Kinds whose strings may stand for values that gateways fetch.
_WITH_REFERENCES = ("ssl", "secret")


def translate(schema: Mapping[str, Any], references: bool = False) -> Doc:
    """A schema of ours (draft 7) in draft 2020-12. What has a default is not required, as our checks have it.

    `references`: every part may also be a string that stands for a value.
    """

    def sub(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        if id(part) in _SHARED:
            return ref(_SHARED[id(part)])
        inner = translate(part, references)
        return {"anyOf": [inner, REFERENCE]} if references and "type" in part else inner

    made: Doc = {}
    for word, value in schema.items():
        if word in _OF_SCHEMAS:
            made[word] = {name: sub(part) for name, part in value.items()}
        elif word in _LISTS_OF_SCHEMAS:
            made[word] = [sub(part) for part in value]
        elif word in _SCHEMAS:
            made[word] = sub(value)
        elif word == "dependencies":
            made |= _dependent(value, references)
        elif word == "required":
            there = schema.get("properties", {})
            made[word] = [name for name in value if "default" not in there.get(name, {})]
        elif word == "encrypt_fields":
            made["x-encrypt-fields"] = value
        else:
            made[word] = value
    return made


def _dependent(dependencies: Mapping[str, Any], references: bool) -> Doc:
    names = {name: wanted for name, wanted in dependencies.items() if isinstance(wanted, list)}
    schemas = {name: translate(part, references) for name, part in dependencies.items() if name not in names}
    return {**({"dependentRequired": names} if names else {}), **({"dependentSchemas": schemas} if schemas else {})}


def ref(name: str, section: str = "schemas") -> Doc:
    """A reference to a component."""
    return {"$ref": f"#/components/{section}/{name}"}


def name_of(kind: str) -> str:
    """The component that is the schema of a kind: "plugin_config" -> "PluginConfig"."""
    return "".join(word.capitalize() for word in kind.split("_"))


def stored_name(kind: str) -> str:
    """The component that is what answers show of a kind."""
    return "SslStored" if kind == "ssl" else name_of(kind)


def schemas() -> dict[str, Doc]:
    """All of them, by the names of components."""
    by_kind: dict[str, Mapping[str, Any]] = {
        **RESOURCES,
        "secret": {"anyOf": list(secret.SCHEMAS.values())},
        "vpc": vpc.SCHEMA,
        "vip": vip.SCHEMA,
        "eip": eip.SCHEMA,
        "node": node.SCHEMA,
    }
    made = {name_of(kind): translate(schema, kind in _WITH_REFERENCES) for kind, schema in by_kind.items()}
    for schema in made.values():
        if "required" in schema:
            # The path may say it.
            schema["required"] = [name for name in schema["required"] if name != "id"]
    made["Upstream"]["properties"]["vpc_id"] = {
        **translate(fields.ID),
        "description": "the nodes are addresses of this VPC; each node's metadata names it in what is stored",
    }
    made["Plugins"] = {
        "type": "object",
        "description": "by name; what each takes is at /apisix/admin/schema/plugins/{name}",
    }
    made["PluginMetadata"] = {
        "type": "object",
        "description": "what each plugin takes is at /apisix/admin/schema/plugins/{name}?schema_type=metadata",
    }
    made["SslStored"] = _stored_ssl(made["Ssl"])
    return {**made, **_ANSWERS}


def _stored_ssl(sent: Doc) -> Doc:
    """Keys are encrypted in the answer to a write, and missing in that to a read."""
    properties = {name: part for name, part in sent["properties"].items() if name not in ssl.HIDDEN}
    text: Doc = {"type": "string"}
    hidden = {"key": text, "keys": {"anyOf": [{"type": "array", "items": text}, REFERENCE]}}
    return {"type": "object", "properties": {**properties, **hidden}, "additionalProperties": False}


_TEXT: Doc = {"type": "string"}
_NUMBER: Doc = {"type": "integer"}
_ANSWERS: dict[str, Doc] = {
    "Error": {
        "type": "object",
        "properties": {"error_msg": _TEXT, "description": _TEXT, "req_body": _TEXT},
        "required": ["error_msg"],
        "additionalProperties": False,
    },
    "KeyNotFound": {
        "type": "object",
        "properties": {"message": {"const": "Key not found"}},
        "required": ["message"],
        "additionalProperties": False,
    },
    "Deleted": {
        "type": "object",
        "properties": {"key": _TEXT, "deleted": {"const": "1"}},
        "required": ["key", "deleted"],
        "additionalProperties": False,
    },
    "InvalidConfiguration": {
        "type": "object",
        "properties": {
            "error_msg": _TEXT,
            "req_body": _TEXT,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"resource_type": _TEXT, "resource_id": _TEXT, "index": _NUMBER, "error": _TEXT},
                    "required": ["resource_type", "error"],
                },
            },
        },
        "required": ["error_msg"],
    },
    "Status": {
        "type": "object",
        "properties": {
            "store": {"enum": ["ok", "unavailable"]},
            "error_msg": _TEXT,
            "revision": _NUMBER,
            "uptime": {"type": "number"},
            "audit_dropped": _NUMBER,
            "nodes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"vips": {"type": "object", "additionalProperties": ref("VipHealth")}},
                    "required": ["id", "state"],
                },
            },
        },
        "required": ["store", "uptime", "audit_dropped"],
    },
    "VipHealth": {
        "description": "What an L4 node's checks of a VIP's targets find; the first 20 that are down.",
        "type": "object",
        "properties": {
            "up": _NUMBER,
            "checked": _NUMBER,
            "down": {"type": "array", "items": _TEXT},
            "panic": {"type": "boolean"},
        },
    },
}
