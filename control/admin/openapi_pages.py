"""The paths of the OpenAPI document that stand for no object of the store."""

from typing import Any

from control.admin.openapi_parts import answer, failures, json_answer, parameter, request_body
from control.admin.openapi_schemas import ref

Doc = dict[str, Any]

_SUBSYSTEM = parameter("subsystem", "http unless given", {"enum": ["http", "stream"]})
_PLACE = parameter(
    "schema_type", "what consumers, or the plugin's metadata, take", {"enum": ["consumer", "metadata", "route"]}
)
_JSON_SCHEMA: Doc = {"type": "object", "description": "a JSON Schema of draft 7"}
_EMPTY: Doc = {"description": "it is valid", "content": {"text/plain": {"schema": {"const": ""}}}}
_BY_NAME = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]
_OPEN: dict[str, list[Doc]] = {"security": []}


def _get(summary: str, response: Doc, *statuses: int, parameters: tuple[Doc, ...] = (), plain: bool = False) -> Doc:
    return {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": response, **failures(*statuses, 401, 429, plain=plain)},
    }


_INVALID = answer(400, ref("InvalidConfiguration"))
_RELOADED: Doc = {"description": "done", "content": {"text/plain": {"schema": {"type": "string"}}}}
_REFUSED: Doc = {"summary": "Refused: reloading takes PUT", "responses": {"405": answer(405), **failures(401, 429)}}
PAGES: dict[str, Doc] = {
    "/apisix/admin/plugins": {
        "get": _get(
            "Every plugin, described",
            json_answer("by name", {"type": "object", "additionalProperties": {"type": "object"}}),
            *(400, 404),
            parameters=(parameter("all", "must be true", {"enum": ["true", "false"]}), _SUBSYSTEM),
        )
    },
    "/apisix/admin/plugins/list": {
        "get": _get(
            "The names of all plugins, highest priority first",
            json_answer("names", {"type": "array", "items": {"type": "string"}}),
            400,
            parameters=(_SUBSYSTEM,),
            plain=True,
        )
    },
    "/apisix/admin/plugins/reload": {
        "put": {
            "summary": "Load plugins again: they are part of the program, nothing happens",
            "responses": {"200": _RELOADED, **failures(401, 429)},
        },
        **dict.fromkeys(("get", "post", "patch", "delete"), _REFUSED),
    },
    "/apisix/admin/plugins/{name}": {
        "parameters": _BY_NAME,
        "get": _get(
            "The schema of one plugin",
            json_answer("the schema", _JSON_SCHEMA),
            *(400, 404),
            parameters=(_SUBSYSTEM, _PLACE),
        ),
    },
    "/apisix/admin/schema/{kind}": {
        "parameters": [{**_BY_NAME[0], "name": "kind"}],
        "get": _get("The schema of one kind", json_answer("the schema", _JSON_SCHEMA), 400, plain=True),
    },
    "/apisix/admin/schema/plugins/{name}": {
        "parameters": _BY_NAME,
        "get": _get(
            "The schema of one plugin", json_answer("the schema", _JSON_SCHEMA), *(400, 404), parameters=(_PLACE,)
        ),
    },
    "/apisix/admin/schema/validate/{collection}": {
        "parameters": [{**_BY_NAME[0], "name": "collection"}],
        "post": {
            "summary": "Judge one object by its schema alone; nothing is stored",
            "requestBody": request_body({}),
            "responses": {"200": _EMPTY, **failures(400, 401, 404, 408, 429)},
        },
    },
    "/apisix/admin/configs/validate": {
        "post": {
            "summary": "Judge a whole configuration; nothing is stored",
            "requestBody": request_body({"type": "object"}, yaml=True),
            "responses": {
                "200": json_answer("it is valid", {"type": "object", "maxProperties": 0}),
                "400": _INVALID,
                **failures(401, 408, 429),
            },
        }
    },
}
FIXED: dict[str, Doc] = {
    "/apisix/admin": {
        "head": {
            "summary": "Is anybody there?",
            **_OPEN,
            "responses": {"200": {"description": "yes"}, "429": {"description": "too many requests"}},
        }
    },
    "/unilb/status": {
        "get": {
            "summary": "The store and the nodes",
            "responses": {
                "200": json_answer("the store answers", ref("Status")),
                "503": json_answer("the store does not answer", ref("Status")),
                **failures(401, 429),
            },
        }
    },
    "/openapi.json": {
        "get": {
            "summary": "This document",
            **_OPEN,
            "responses": {"200": json_answer("OpenAPI 3.1", {"type": "object"}), **failures(429)},
        }
    },
}
