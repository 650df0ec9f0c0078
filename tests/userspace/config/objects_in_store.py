"""Keys and values as the Admin API stores them, for the tests of what is made of them."""

import base64

import orjson

from control.model.keys import STICKY_KEYS, key_of

Stored = tuple[str, bytes]


def route(id: str, uri: str = "/", **fields: object) -> Stored:
    if not fields.keys() & {"upstream", "upstream_id", "plugins", "service_id"}:
        fields["upstream_id"] = "u1"
    where = {} if "uris" in fields else {"uri": uri}
    return key_of("route", id), orjson.dumps({"id": id, **where, **fields})


def service(id: str, **fields: object) -> Stored:
    return key_of("service", id), orjson.dumps({"id": id, **fields})


def plugin_config(id: str, plugins: object) -> Stored:
    return key_of("plugin_config", id), orjson.dumps({"id": id, "plugins": plugins})


def upstream(id: str = "u1", nodes: dict[str, int] | None = None, **fields: object) -> Stored:
    doc = {"id": id, "type": "roundrobin", "nodes": {"10.0.0.1:80": 1} if nodes is None else nodes}
    return key_of("upstream", id), orjson.dumps({**doc, **fields})


def sticky_keys(current: int, previous: int | None = None) -> Stored:
    doc = {"current": base64.b64encode(bytes([current]) * 32).decode()}
    if previous is not None:
        doc["previous"] = base64.b64encode(bytes([previous]) * 32).decode()
    return STICKY_KEYS, orjson.dumps(doc)
