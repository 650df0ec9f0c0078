"""Objects as they are compared: what the server adds is gone, and two spellings of the same are one. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from control.ctl.kinds import Kind
from control.model.addresses import as_host, of_host

Doc = dict[str, Any]

# Written by the server. Sent back, they would be refused when they are not what is stored.
ADDED = ("id", "create_time", "update_time")
_ADDED_TO_SSL = ("validity_start", "validity_end")
_TLS = ("https", "grpcs", "tls")


def for_comparison(kind: Kind, doc: Mapping[str, Any]) -> Doc:
    """The object without what the server adds or never shows, with the endpoints of upstreams in one form."""
    result = portable(kind, doc)
    for path in kind.hidden:
        _remove(result, path.split("."))
    if kind.collection == "ssls":
        result = {name: value for name, value in result.items() if name not in _ADDED_TO_SSL}
    if kind.collection == "upstreams":
        result = _one_form(result)
    elif isinstance(result.get("upstream"), dict):
        result["upstream"] = _one_form(result["upstream"])
    normal: Doc = _normal(result)
    return normal


def is_same(kind: Kind, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True when writing one over the other would change nothing that can be seen."""
    return text_of(for_comparison(kind, one)) == text_of(for_comparison(kind, other))


def text_of(doc: Mapping[str, Any]) -> str:
    """JSON; unlike ==, it tells 1 and true apart."""
    return json.dumps(doc, sort_keys=True, ensure_ascii=False)


def portable(kind: Kind, doc: Mapping[str, Any]) -> Doc:
    """The object as a file has it: it can be written to any server, which adds its own times and unique IPs."""
    result = {name: value for name, value in doc.items() if name not in ADDED}
    if kind.collection == "vpcs" and isinstance(result.get("endpoints"), dict):
        result["endpoints"] = {
            of_host(ip): {name: value for name, value in endpoint.items() if name != "unique_ip"}
            for ip, endpoint in result["endpoints"].items()
            if isinstance(endpoint, dict)
        }
    if kind.collection == "upstreams":
        result = _with_vpc_addresses(result)
    elif isinstance(result.get("upstream"), dict):
        result["upstream"] = _with_vpc_addresses(result["upstream"])
    return result


def _with_vpc_addresses(upstream: Doc) -> Doc:
    """An upstream whose endpoints all stand in one VPC, by VPC addresses and `vpc_id`; others keep their metadata, and
    have the VPC address for a host in place of the unique IP."""
    upstream = {name: value for name, value in upstream.items() if name not in ADDED[1:]}
    nodes = upstream.get("nodes")
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        return upstream
    if "vpc_id" in upstream and any(vpc_of(node) is not None for node in nodes):
        vpc_id = upstream.pop("vpc_id")
        nodes = [node if vpc_of(node) is not None else _in_vpc(node, vpc_id) for node in nodes]
        upstream["nodes"] = nodes
    vpcs = {str(vpc_of(node)) if vpc_of(node) is not None else None for node in nodes}
    if vpcs <= {None}:
        return upstream
    if len(vpcs) > 1:
        hosts = [
            node if vpc_of(node) is None else {**node, "host": as_host(node["metadata"]["vpc_ip"])} for node in nodes
        ]
        return {**upstream, "nodes": hosts}
    plain = []
    for node in nodes:
        rest = {name: value for name, value in node["metadata"].items() if name not in ("vpc_id", "vpc_ip")}
        plain.append({**node, "host": as_host(node["metadata"]["vpc_ip"]), "metadata": rest})
        if not rest:
            del plain[-1]["metadata"]
    return {**upstream, "vpc_id": vpc_of(nodes[0]), "nodes": plain}


def _in_vpc(node: Doc, vpc_id: Any) -> Doc:
    return {
        **node,
        "metadata": {**node.get("metadata", {}), "vpc_id": vpc_id, "vpc_ip": of_host(str(node.get("host")))},
    }


def vpc_of(node: Mapping[str, Any]) -> Any:
    """The VPC that a node of an upstream says it stands in, or None."""
    metadata = node.get("metadata")
    return metadata.get("vpc_id") if isinstance(metadata, dict) and "vpc_ip" in metadata else None


def _one_form(upstream: Doc) -> Doc:
    """`nodes` as a list in a fixed order, with ports."""
    nodes = upstream.get("nodes")
    port = 443 if upstream.get("scheme") in _TLS else 80
    if isinstance(nodes, dict):
        listed = [_split(address, port) | {"weight": weight} for address, weight in nodes.items()]
    elif isinstance(nodes, list) and all(isinstance(node, dict) for node in nodes):
        listed = [{"port": port, **node} for node in nodes]
        listed = [_without_defaults(node) for node in listed]
    else:
        return upstream
    vpc_id = {"vpc_id": str(upstream["vpc_id"])} if "vpc_id" in upstream else {}
    return {**upstream, **vpc_id, "nodes": sorted(listed, key=text_of)}


def _without_defaults(node: Doc) -> Doc:
    return {name: value for name, value in node.items() if (name, value) not in (("metadata", {}), ("priority", 0))}


def _split(address: str, port: int) -> Doc:
    host, colon, digits = address.rpartition(":")
    if colon and digits.isdigit() and (":" not in host or host.endswith("]")):
        return {"host": host, "port": int(digits)}
    return {"host": address, "port": port}


def _remove(doc: Any, path: list[str]) -> None:
    """Take a field out of `doc`, whose maps on the way are copied."""
    for name in path[:-1]:
        if not isinstance(doc.get(name), dict):
            return
        doc[name] = dict(doc[name])
        doc = doc[name]
    doc.pop(path[-1], None)


def _normal(value: Any) -> Any:
    """Whole numbers are integers, as the server stores them."""
    if isinstance(value, dict):
        return {name: _normal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
