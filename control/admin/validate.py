"""`POST /apisix/admin/configs/validate`: a whole configuration is judged, and nothing is stored."""

import json
from typing import Any

import yaml
from starlette.requests import Request

from control.admin.body import bad_json, parse_body, read_body
from control.admin.reply import UNKNOWN_METHOD, Reply, error
from control.model.checks import check
from control.model.errors import ModelError
from control.model.plugin_metadata import check_plugin_metadata

Doc = dict[str, Any]

COLLECTIONS = {
    "routes": "route",
    "services": "service",
    "upstreams": "upstream",
    "consumers": "consumer",
    "consumer_groups": "consumer_group",
    "ssls": "ssl",
    "global_rules": "global_rule",
    "plugin_configs": "plugin_config",
    "plugin_metadata": "plugin_metadata",
    "protos": "proto",
    "stream_routes": "stream_route",
    "secrets": "secret",
}


class ConfigPages:
    """`configs/validate`; references between objects are not followed."""

    async def __call__(self, request: Request, path: str) -> Reply:
        if path != "validate" or request.method != "POST":
            return UNKNOWN_METHOD
        raw = await read_body(request)
        if isinstance(raw, Reply):
            return raw
        if not raw:
            return error(400, "invalid request body: empty request body")
        try:
            is_yaml = "yaml" in request.headers.get("content-type", "")
            doc = parse_body(raw) if not is_yaml else _yaml(raw)
        except ValueError as problem:
            return bad_json(raw, problem)
        if not isinstance(doc, dict):
            return error(400, "invalid request body: expected an object")
        errors = problems(doc)
        if not errors:
            return Reply(200, {})
        return Reply(400, {"error_msg": "Configuration validation failed", "errors": errors})


def problems(doc: Doc) -> list[Doc]:
    """Everything that is wrong with a configuration `{"routes": [...], ...}`: which object, and why."""
    found: list[Doc] = []
    for collection, kind in COLLECTIONS.items():
        objects = doc.get(collection)
        if objects is None:
            continue
        if not isinstance(objects, list):
            found.append({"resource_type": collection, "error": f"{collection} must be an array"})
            continue
        seen: set[str] = set()
        for index, item in enumerate(objects):
            id, why = _judge(collection, kind, item, seen)
            if why is not None:
                place = {"resource_type": collection, "index": index, "error": why}
                found.append(place if id is None else {**place, "resource_id": id})
    return found


def _judge(collection: str, kind: str, item: Any, seen: set[str]) -> tuple[str | None, str | None]:
    """The id of one object, and what is wrong with it."""
    if not isinstance(item, dict):
        return None, "invalid configuration: wrong type: expected object"
    raw = item.get("id")
    is_credential = kind == "consumer" and isinstance(raw, str) and "/credentials/" in raw
    word = "credential id" if is_credential else "username" if kind == "consumer" else "id"
    id = item.get("username") if word == "username" else raw
    id = None if id is None else str(id)
    try:
        if kind == "plugin_metadata":
            check_plugin_metadata(id or "", item)
        else:
            check("credential" if is_credential else kind, item)
    except ModelError as problem:
        return id, str(problem)
    if id is not None and id in seen:
        return id, f"found duplicate {word} {id} in {collection}"
    seen.add(id or "")
    return id, None


def _yaml(raw: bytes) -> Any:
    try:
        # A few aliases in a row stand for more than any memory holds.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw)):
            raise ValueError("YAML aliases are not taken")
        return parse_body(json.dumps(yaml.safe_load(raw)).encode())
    except (yaml.YAMLError, TypeError, RecursionError) as problem:
        raise ValueError(str(problem)) from None
