"""`/openapi.json`: the whole API in OpenAPI 3.1, made from the resources and their schemas when it starts."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from control.admin.consumers import Credentials
from control.admin.graphql_cost_decorations import Decorations
from control.admin.listing import MAX_PAGE_SIZE, MIN_PAGE_SIZE
from control.admin.openapi_pages import FIXED, PAGES
from control.admin.openapi_parts import answer, failures, json_answer, parameter, request_body
from control.admin.openapi_schemas import name_of, ref, schemas, stored_name
from control.admin.reply import SERVER, UNKNOWN_METHOD, Reply
from control.admin.resource import Resource
from control.store.base import MAX_TTL

Doc = dict[str, Any]
Spaces = Mapping[str, Iterable[type[Resource]]]

PATH = "/openapi.json"
_TTL = parameter("ttl", "seconds after which the object is gone", {"type": "number", "minimum": 1, "maximum": MAX_TTL})
_FORCE = parameter("force", "true: whatever still uses it", {"enum": ["true", "false"]})
_LISTING = (
    parameter("page", "from 1; counts with page_size only", {"type": "integer", "minimum": 1}),
    parameter("page_size", "", {"type": "integer", "minimum": MIN_PAGE_SIZE, "maximum": MAX_PAGE_SIZE}),
    parameter("name", "regular expression that the name matches", {"type": "string", "maxLength": 256}),
    parameter("label", "a label that the object has", {"type": "string"}),
    parameter("uri", "regular expression that one of its URIs matches", {"type": "string", "maxLength": 256}),
    parameter("filter", "service_id=... and upstream_id=..., as a query string", {"type": "string"}),
)
# What others refer to: deleting it may be refused.
_REFERRED = {
    *("services", "upstreams", "consumer_groups", "plugin_configs", "protos", "stream_routes"),
    *("vpcs", "vips", "nodes"),
}
# What the last part of the path to one object is called, where it is not an id.
_ID_NAMES = {"consumers": "username", "plugin_metadata": "name"}


class OpenApi:
    """Answers GET with the document. Needs no key: it says nothing of what is stored."""

    def __init__(self, spaces: Spaces) -> None:
        self._reply = Reply(200, document(spaces))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._reply if scope["method"] == "GET" else UNKNOWN_METHOD
        await reply.to_response()(scope, receive, send)


def document(spaces: Spaces) -> Doc:
    """The document for resources by the path that they stand below."""
    paths: dict[str, Doc] = {}
    for base, resources in spaces.items():
        for resource in resources:
            paths |= _paths_of(base, resource)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "unilb Admin API",
            "version": SERVER.rpartition("/")[2],
            "description": "APISIX's Admin API under /apisix/admin; VPCs, VIPs, EIPs and nodes under /unilb.",
        },
        "security": [{"key": []}],
        "paths": {path: _with_404(path, item) for path, item in {**paths, **PAGES, **FIXED}.items()},
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
            "schemas": schemas(),
        },
    }


def _with_404(path: str, item: Doc) -> Doc:
    """A part of a path that no object can be called by, such as a line break, is found nowhere, whatever the method."""
    if "{" not in path:
        return item
    described = {}
    for name, operation in item.items():
        if name != "parameters":
            operation = {**operation, "responses": {"404": answer(404), **operation["responses"]}}
        described[name] = operation
    return described


def _paths_of(base: str, resource: type[Resource]) -> dict[str, Doc]:
    collection = f"{base}/{resource.collection}"
    if resource.collection == "secrets":
        below = f"{collection}/{{manager}}"
        managed = _collection(resource)
        del managed["put"]
        item = _item(resource)
        item_path = f"{below}/{{id}}"
        return _described({collection: managed, below: managed, item_path: item, f"{item_path}/{{path}}": _part(item)})
    item_path = f"{collection}/{{{_ID_NAMES.get(resource.collection, 'id')}}}"
    item = _item(resource)
    paths = {collection: _collection(resource), item_path: item}
    if "PATCH" not in resource.unsupported:
        paths[f"{item_path}/{{path}}"] = _part(item)
    if resource.collection == "consumers":
        paths |= _paths_of(item_path, Credentials)
    if resource.collection == "services":
        paths |= _paths_of(f"{collection}/{{service_id}}", Decorations)
    return _described(paths)


def _described(paths: dict[str, Doc]) -> dict[str, Doc]:
    """With the parameters of the path itself."""
    return {path: {"parameters": _path_parameters(path), **item} for path, item in paths.items()}


def _path_parameters(path: str) -> list[Doc]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [_in_path(name) for name in names]


def _in_path(name: str) -> Doc:
    schema: Doc = {"enum": ["vault", "aws", "gcp"]} if name == "manager" else {"type": "string", "minLength": 1}
    says = {"path": "the way to a part of the object: upstream/nodes"}.get(name, "")
    return {"name": name, "in": "path", "required": True, "description": says, "schema": schema}


def _collection(resource: type[Resource]) -> Doc:
    kind, missing = resource.kind, [404] if resource.empty_is_missing else []
    operations = {
        "get": {
            "summary": f"List {resource.collection}",
            "parameters": list(_LISTING),
            "responses": {
                "200": json_answer("all that match, on all pages counted", _list_of(kind)),
                **failures(400, 401, *missing, 429, 503, plain=True),
            },
        },
        "post": _writing(resource, "Create under an id that is made for it", created_only=True),
        "put": _writing(resource, "Create or replace, the id is in the body"),
    }
    return _refuse_unsupported(operations, resource)


def _item(resource: type[Resource]) -> Doc:
    kind, refused = resource.kind, [400] if resource.collection in _REFERRED else []
    operations = {
        "get": {
            "summary": f"One of {resource.collection}",
            "responses": {"200": json_answer("the object", _entry(kind)), **failures(401, 404, 429, 503)},
        },
        "put": _writing(resource, "Create or replace"),
        "patch": {
            "summary": "Merge into the object; null removes",
            "parameters": [_TTL],
            "requestBody": request_body({"type": "object"}),
            "responses": {
                "200": json_answer("what is stored now", _written(kind)),
                **failures(400, 401, 404, 408, 429, 503),
            },
        },
        "delete": {
            "summary": "Delete",
            "parameters": [_FORCE],
            "responses": {
                "200": json_answer("it is gone", ref("Deleted")),
                **failures(*refused, 401, 404, 429, 503),
            },
        },
    }
    return _refuse_unsupported(operations, resource)


def _part(item: Doc) -> Doc:
    patch = {**item["patch"], "summary": "Replace a part of the object; null removes", "requestBody": request_body({})}
    return {"patch": patch}


def _writing(resource: type[Resource], summary: str, created_only: bool = False) -> Doc:
    written = _written(resource.kind)
    replaced = {} if created_only else {"200": json_answer("replaced", written)}
    # What stands below something else needs that to be there.
    missing = [404] if resource.empty_is_missing else []
    return {
        "summary": summary,
        "parameters": [_TTL],
        "requestBody": request_body(ref(name_of(resource.kind))),
        "responses": {
            **replaced,
            "201": json_answer("created", written),
            **failures(400, 401, *missing, 408, 429, 503),
        },
    }


def _refuse_unsupported(operations: Doc, resource: type[Resource]) -> Doc:
    refused = {
        "summary": "Refused: this resource lacks the method",
        "responses": {"405": answer(405), **failures(401, 429)},
    }
    return {
        name: refused if name.upper() in resource.unsupported else operation for name, operation in operations.items()
    }


def _list_of(kind: str) -> Doc:
    return {
        "type": "object",
        "properties": {"total": {"type": "integer", "minimum": 0}, "list": {"type": "array", "items": _entry(kind)}},
        "required": ["total", "list"],
        "additionalProperties": False,
    }


def _written(kind: str) -> Doc:
    properties = {"key": {"type": "string"}, "value": ref(stored_name(kind))}
    return {"type": "object", "properties": properties, "required": ["key", "value"], "additionalProperties": False}


def _entry(kind: str) -> Doc:
    written = _written(kind)
    revisions = {"createdIndex": {"type": "integer"}, "modifiedIndex": {"type": "integer"}}
    properties = {**written["properties"], **revisions}
    return {**written, "properties": properties, "required": list(properties)}
