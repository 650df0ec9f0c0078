"""Stream route: which connections (client, local address and port, server name) go to which upstream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from control.model import upstream
from control.model.errors import ModelError
from control.model.fields import COMMON, HOST, ID, IP, PLUGINS, PORT, optional_id, text_of_id
from control.model.plugins import check_plugins
from control.model.schema import Schema, check_configuration, on_demand
from control.model.splice import SPLICE
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
        "splice": SPLICE,
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


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """Conditions that are None hold for every connection. `sni`: a server name, or `*.parent` for one label more.
    `client`, `server`: addresses or networks. `splice`: one of POLICIES, None for the gateway's."""

    id: str
    sni: str | None = None
    client: str | None = None
    server: str | None = None
    server_port: int | None = None
    upstream: Upstream | None = None
    upstream_id: str | None = None
    service_id: str | None = None
    splice: str | None = None

    @classmethod
    def from_json(cls, doc: object, id: str | None = None) -> Self:
        """Read a stored one. Raises ModelError."""
        check_stream_route(doc)
        assert isinstance(doc, dict)
        own = text_of_id(doc["id"]) if id is None else id
        return cls(
            id=own,
            sni=doc["sni"].lower().removesuffix(".") if "sni" in doc else None,
            client=doc.get("remote_addr"),
            server=doc.get("server_addr"),
            server_port=int(doc["server_port"]) if "server_port" in doc else None,
            upstream=Upstream.from_json(doc["upstream"], f"stream_route:{own}") if "upstream" in doc else None,
            upstream_id=optional_id(doc, "upstream_id"),
            service_id=optional_id(doc, "service_id"),
            splice=doc.get("splice"),
        )


_check = on_demand(SCHEMA)
_CHECK_PROTOCOL = {name: on_demand(schema) for name, schema in PROTOCOLS.items()}


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
