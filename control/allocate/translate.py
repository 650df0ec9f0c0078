"""Upstreams in a VPC: from the VPC's own addresses, as written, to unique IPs, as stored and served. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from control.model.addresses import as_host, of_host
from control.model.errors import ModelError
from control.model.fields import ID, text_of_id
from control.model.schema import check_configuration, on_demand
from control.model.upstream import Upstream, node_entries
from control.model.vpc import Vpc

Doc = dict[str, Any]

_check_vpc_id = on_demand({"type": "object", "properties": {"vpc_id": ID}})


def split_vpc_id(doc: Doc) -> tuple[Doc, str | None]:
    """The upstream without the top-level `vpc_id`, which APISIX's schema has no place for, and its text.

    Raises ModelError for a bad `vpc_id`.
    """
    if "vpc_id" not in doc:
        return doc, None
    check_configuration(_check_vpc_id, doc)
    return {name: value for name, value in doc.items() if name != "vpc_id"}, text_of_id(doc["vpc_id"])


def vpc_endpoints_of(doc: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(vpc id, VPC address) of every endpoint of a stored upstream that stands in a VPC. Unreadable ones have none."""
    nodes = doc.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        metadata = node.get("metadata") if isinstance(node, dict) else None
        if isinstance(metadata, dict) and "vpc_id" in metadata:
            yield text_of_id(metadata["vpc_id"]), str(metadata.get("vpc_ip"))


def vpc_ids_of(doc: Mapping[str, Any], vpc_id: str | None) -> set[str]:
    """The VPCs that translating this upstream needs."""
    return {id for id, _ in vpc_endpoints_of(doc)} | ({vpc_id} if vpc_id is not None else set())


def translate_upstream(doc: Doc, vpc_id: str | None, vpcs: Mapping[str, Vpc]) -> Doc:
    """The upstream as stored: an endpoint in a VPC has its unique IP as `host` and its VPC address in `metadata`.

    `doc` has passed Upstream.from_json. Nodes that already name their VPC in `metadata` are checked and left alone, so
    that a translated upstream translates to itself. Raises ModelError.
    """
    if not vpc_ids_of(doc, vpc_id):
        return doc
    if "nodes" not in doc:
        raise ModelError('invalid configuration: property "vpc_id" validation failed: an upstream in a VPC has nodes')
    nodes = [_translate(dict(node), vpc_id, vpcs) for node in node_entries(doc)]
    translated = {**doc, "nodes": nodes}
    Upstream.from_json(translated)
    return translated


def _translate(node: Doc, vpc_id: str | None, vpcs: Mapping[str, Vpc]) -> Doc:
    metadata = node.get("metadata", {})
    if "vpc_id" in metadata:
        unique_ip = _unique_ip(vpcs[text_of_id(metadata["vpc_id"])], metadata["vpc_ip"])
        if of_host(node["host"]) != unique_ip:
            raise _bad_host(f"{node['host']} is not the unique IP of {metadata['vpc_ip']}, which is {unique_ip}")
        return node
    if vpc_id is None:
        return node
    vpc_ip = of_host(node["host"])
    host = as_host(_unique_ip(vpcs[vpc_id], vpc_ip))
    return {**node, "host": host, "metadata": {**metadata, "vpc_id": vpc_id, "vpc_ip": vpc_ip}}


def _unique_ip(vpc: Vpc, vpc_ip: str) -> str:
    endpoint = vpc.endpoints.get(of_host(vpc_ip))
    if endpoint is None:
        raise _bad_host(f"vpc [{vpc.id}] has no endpoint {vpc_ip}")
    return endpoint.unique_ip


def _bad_host(why: str) -> ModelError:
    return ModelError(f'invalid configuration: property "nodes" validation failed: property "host": {why}')
