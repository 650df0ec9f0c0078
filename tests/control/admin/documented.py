"""The OpenAPI document as tests use it: every operation with a path and a body that suit it, and a judge of answers."""

from typing import Any

from jsonschema import Draft202012Validator

from control.admin.app import APISIX
from control.admin.eips import Eips
from control.admin.nodes import Nodes
from control.admin.openapi import document
from control.admin.vips import Vips
from control.admin.vpcs import Vpcs
from tests.control.admin.in_process import EXAMPLES, Said

SPACES: Any = {"/apisix/admin": APISIX, "/unilb": (Vpcs, Vips, Eips, Nodes)}
DOCUMENT = document(SPACES)
METHODS = ("get", "put", "post", "patch", "delete", "head")
OPERATIONS = [
    (path, method.upper(), operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]
# What stands for the parts of paths that are no id.
WORDS = {"manager": "vault", "kind": "route", "collection": "routes", "path": "desc"}


def place(path: str) -> tuple[str, str]:
    """The collection that a path of the document stands for, and the path with its names filled in."""
    collection = path.partition("/{")[0]
    if path.startswith("/apisix/admin/secrets/{"):
        collection = "/apisix/admin/secrets/vault"
    if "/credentials" in path:
        collection = "/apisix/admin/consumers/jack/credentials"
        path = path.replace("{username}", "jack")
    if "/graphql_cost_decorations" in path:
        collection = "/apisix/admin/services/s1/graphql_cost_decorations"
        path = path.replace("{service_id}", "s1")
    id = EXAMPLES[collection][0] if collection in EXAMPLES else "key-auth"
    if collection.endswith("global_rules"):
        path = path.replace("{path}", "plugins")
    for name, word in WORDS.items():
        path = path.replace(f"{{{name}}}", word)
    for name in ("id", "username", "name"):
        path = path.replace(f"{{{name}}}", id)
    return collection, path


def good_body(path: str, method: str) -> object:
    """A body that is accepted there, None where there is none."""
    collection, _ = place(path)
    if method in ("GET", "DELETE", "HEAD"):
        return None
    if path.endswith("/{path}"):
        return {} if "global_rules" in path else "text"
    if method == "PATCH" or collection not in EXAMPLES:
        return {"uri": "/a", "plugins": {}} if "schema/validate" in path else {}
    id, doc = EXAMPLES[collection]
    if method == "PUT" and not path.endswith("}"):
        return doc if collection.endswith("consumers") else {**doc, "id": id}
    return {**doc, "sni": "b.example"} if collection.endswith("ssls") else doc


def check_documented(said: Said, path: str, method: str) -> None:
    """The answer is one that the document knows: status, type and shape."""
    operation = DOCUMENT["paths"][path][method.lower()]
    assert str(said.status) in operation["responses"], (method, path, said)
    content = operation["responses"][str(said.status)].get("content", {})
    if not content or not said.raw:
        return
    kind = said.headers["content-type"].partition(";")[0]
    assert kind in content, (method, path, said)
    shown = said.json if kind == "application/json" else said.raw.decode()
    schema = {**content[kind]["schema"], "components": DOCUMENT["components"]}
    problems = [error.message for error in Draft202012Validator(schema).iter_errors(shown)]
    assert not problems, (method, path, problems)


def with_status(status: int) -> list[tuple[str, str]]:
    return [(path, method) for path, method, operation in OPERATIONS if str(status) in operation["responses"]]
