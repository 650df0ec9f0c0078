"""Stream route: which connections (client, local address and port, server name) go to which upstream."""

from collections.abc import Mapping

from control.model import upstream
from control.model.errors import ModelError
from control.model.fields import COMMON, HOST, ID, IP, PLUGINS, PORT, text_of_id
from control.model.plugins import check_plugins
from control.model.schema import Schema, check_configuration, compile_schema
from control.model.upstream import Upstream

PROTOCOL = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "superior_id": ID,
        "conf": {"type": "object"},
        "logger": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "filter": {"type": "array"},
                    "conf": {"type": "object"},
                },
                "dependencies": {"name": ["conf"]},
                "additionalProperties": False,
            },
        },
    },
    "required": ["name"],
}
SCHEMA = {
    "type": "object",
    "properties": {
        **COMMON,
        "remote_addr": IP,
        "server_addr": IP,
        "server_port": PORT,
        "sni": HOST,
        "upstream": upstream.SCHEMA,
        "upstream_id": ID,
        "service_id": ID,
        "plugins": PLUGINS,
        "protocol": PROTOCOL,
    },
    "additionalProperties": False,
}
# Protocols that are told apart inside a connection, and what each takes.
PROTOCOLS: Mapping[str, Schema] = {
    "redis": {
        "type": "object",
        "properties": {
            "faults": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "commands": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                        "key": {"type": "string", "minLength": 1},
                        "delay": {"type": "number"},
                    },
                    "required": ["commands", "delay"],
                },
            }
        },
    },
    "dubbo": {"type": "object"},
}

_check = compile_schema(SCHEMA)
_CHECK_PROTOCOL = {name: compile_schema(schema) for name, schema in PROTOCOLS.items()}


def check_stream_route(doc: object) -> None:
    """Raise ModelError unless `doc` is one. Whether what it names exists is not seen here."""
    check_configuration(_check, doc)
    assert isinstance(doc, dict)
    if "upstream" in doc:
        Upstream.from_json(doc["upstream"], "")
    check_plugins(doc.get("plugins", {}), "stream")
    protocol = doc.get("protocol")
    if protocol is None:
        return
    if protocol["name"] not in PROTOCOLS:
        raise ModelError(f"unknown protocol [{protocol['name'][:64]}]")
    error = _CHECK_PROTOCOL[protocol["name"]](protocol.get("conf", {}))
    if error is not None:
        raise ModelError(error)
    superior = protocol.get("superior_id")
    if superior is not None and "id" in doc and text_of_id(superior) == text_of_id(doc["id"]):
        raise ModelError("stream route can not set itself as superior_id")
