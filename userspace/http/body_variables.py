"""The variables that stand for parts of a request's body: post_arg_x, post_arg.x, graphql_x.

Each raises BodyWanted while the body is not there yet; of a body that is too long nothing has a value. What a body is
read as is kept in `request.state`, so that many routes that ask cost one reading.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import orjson

from userspace.http.forms import multipart, urlencoded
from userspace.http.graphql import Operation, first_operation
from userspace.http.json_path import compile_path

if TYPE_CHECKING:
    from userspace.http.request import Request


class BodyWanted(Exception):
    """What is asked depends on the request's body, which is not there yet: read it, set `request.body`, ask again."""


_Getter = Callable[["Request"], Any]

_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_JSON: Final = "application/json"
_NO_OPERATION: Final = Operation("", "", ())


def posted_form(name: str) -> _Getter:
    """post_arg_NAME: the first value of a field of a urlencoded form."""

    def get(request: "Request") -> str | None:
        if not _content_type(request).startswith(_FORM):
            return None
        values = _kept(request, "posted form", urlencoded).get(name)
        return values[0] if values else None

    return get


def post_arg(path: str) -> _Getter:
    """post_arg.PATH: what stands there in a JSON body, or a field of either kind of form."""
    try:
        find = compile_path(path)
    except ValueError:
        return lambda request: None

    def get(request: "Request") -> Any:
        kind = _content_type(request)
        if kind.startswith(_JSON):
            return find(_kept(request, "posted json", _json))
        if kind.startswith(_FORM):
            return find(_kept(request, "posted fields", lambda body: _singles(urlencoded(body))))
        if kind.startswith(_MULTIPART):
            field = (request.header(b"content-type") or b"").decode("latin-1")
            return find(_kept(request, "posted fields", lambda body: _singles(multipart(body, field))))
        return None

    return get


def graphql(what: str) -> _Getter:
    """graphql_name, graphql_operation, graphql_root_fields: of the first operation in the query or the body."""
    if what not in ("name", "operation", "root_fields"):
        return lambda request: None

    def get(request: "Request") -> Any:
        operation = _operation(request)
        if operation is _NO_OPERATION:
            return None
        if what == "root_fields":
            return list(operation.fields)
        return operation.name if what == "name" else operation.kind

    return get


def _operation(request: "Request") -> Operation:
    if request.method == "GET":
        found = request.state.get("graphql")
        if found is None:
            found = request.state["graphql"] = _parsed(request.arg("query"))
        assert isinstance(found, Operation)
        return found
    if request.method != "POST":
        return _NO_OPERATION
    is_json = _content_type(request).startswith(_JSON)
    operation = _kept(request, "graphql", _of_json if is_json else _of_text)
    assert isinstance(operation, Operation)
    return operation


def _of_text(body: bytes) -> Operation:
    return _parsed(body.decode("utf-8", "surrogateescape"))


def _of_json(body: bytes) -> Operation:
    document = _json(body)
    return _parsed(document.get("query") if isinstance(document, dict) else None)


def _parsed(document: Any) -> Operation:
    try:
        return first_operation(document) if isinstance(document, str) else _NO_OPERATION
    except ValueError:
        return _NO_OPERATION


def _kept(request: "Request", name: str, read: Callable[[bytes], Any]) -> Any:
    found = request.state.get(name)
    if found is None:
        found = request.state[name] = read(request.wanted_body())
    return found


def _content_type(request: "Request") -> str:
    return (request.header(b"content-type") or b"").decode("latin-1").strip().lower()


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}


def _singles(fields: dict[str, list[str]]) -> dict[str, Any]:
    """As APISIX has them: one value as such, several as a list."""
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
