"""Parts that operations of the OpenAPI document are made of."""

from typing import Any

from control.admin.openapi_schemas import ref

Doc = dict[str, Any]

_MEANINGS = {
    400: "refused: the text names the field, the byte, or what still uses it",
    401: "the key is missing, wrong, or one of a viewer",
    404: "there is no such object",
    405: "the resource lacks the method",
    408: "the body took too long",
    429: "too many requests",
    503: "the store does not answer, or another write was faster each time",
}


def parameter(name: str, description: str, schema: Doc) -> Doc:
    """One of the query, which may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def request_body(schema: Doc, yaml: bool = False) -> Doc:
    """JSON that must be there."""
    content = {"application/json": {"schema": schema}}
    return {"required": True, "content": {**content, **({"application/yaml": {"schema": schema}} if yaml else {})}}


def json_answer(description: str, schema: Doc) -> Doc:
    """A response with JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def answer(status: int, schema: Doc | None = None, plain: bool = False) -> Doc:
    """The failure with this status; `plain`: some of them are plain text."""
    either = {"anyOf": [ref("Error"), ref("KeyNotFound")]} if status == 404 else ref("Error")
    made = json_answer(_MEANINGS[status], schema or either)
    if plain and status == 400:
        made["content"]["text/plain"] = {"schema": {"type": "string"}}
    if status == 429:
        made["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return made


def failures(*statuses: int, plain: bool = False) -> dict[str, Doc]:
    """These failures, by status."""
    return {str(status): answer(status, plain=plain) for status in statuses}
