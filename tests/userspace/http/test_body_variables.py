from typing import Any

import pytest

from tests.requests import request
from userspace.http.body_variables import BodyWanted
from userspace.http.request import Request
from userspace.http.variables import getter

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json; charset=utf-8"
PARTS = "Content-Type: multipart/form-data; boundary=Bb"
REPO = "query repo { owner { name } }"


def posted(body: bytes, *fields: str, method: str = "POST") -> Request:
    made = request(method, "/", f"Content-Length: {len(body)}", *fields)
    made.body = body
    return made


@pytest.mark.parametrize(
    ("body", "kind", "name", "value"),
    [
        (b"key=abc&key=d&e=", FORM, "post_arg_key", "abc"),
        (b"key=abc", FORM, "post_arg_none", None),
        (b"key=abc", JSON, "post_arg_key", None),
        (b"key=abc&key=d", FORM, "post_arg.key", ["abc", "d"]),
        (b"key=abc", FORM, "post_arg.key", "abc"),
        (b'{"a": {"b": [1, "x"]}}', JSON, "post_arg.a.b", [1, "x"]),
        (b'{"a": {"b": [1, "x"]}}', JSON, "post_arg.a.b[1]", ["x"]),
        (b'{"a": ', JSON, "post_arg.a", None),
        (b"", JSON, "post_arg.a", None),
        (b'--Bb\r\nContent-Disposition: form-data; name="f"\r\n\r\nv\r\n--Bb--', PARTS, "post_arg.f", "v"),
        (b"key=abc", "Content-Type: text/plain", "post_arg.key", None),
        (b"key=abc", FORM, "post_arg.[", None),
        (REPO.encode(), "X: y", "graphql_name", "repo"),
        (REPO.encode(), "X: y", "graphql_operation", "query"),
        (REPO.encode(), "X: y", "graphql_root_fields", ["owner"]),
        (b"{ a }", "X: y", "graphql_name", ""),
        (b'{"query": "mutation m { a b }"}', JSON, "graphql_root_fields", ["a", "b"]),
        (b'{"query": 5}', JSON, "graphql_name", None),
        (b"[]", JSON, "graphql_name", None),
        (b"AA", "X: y", "graphql_name", None),
        (b"", "X: y", "graphql_operation", None),
        (REPO.encode(), "X: y", "graphql_other", None),
    ],
)
def test_a_body_has_its_variables(body: bytes, kind: str, name: str, value: Any) -> None:
    one = posted(body, kind)
    assert getter(name)(one) == value
    assert getter(name)(one) == value


def test_graphql_stands_in_the_query_of_a_get_and_nowhere_in_other_methods() -> None:
    one = request("GET", "/?query=query%20repo%20%7B%20owner%20%7D")
    assert getter("graphql_name")(one) == "repo"
    assert getter("graphql_name")(posted(REPO.encode(), method="PUT")) is None
    assert getter("graphql_name")(request("GET", "/")) is None


@pytest.mark.parametrize("name", ["post_arg_a", "post_arg.a", "graphql_name"])
def test_a_body_that_is_not_there_yet_is_asked_for(name: str) -> None:
    with pytest.raises(BodyWanted):
        getter(name)(request("POST", "/", "Content-Length: 5", FORM))
    assert getter(name)(request("POST", "/", "Content-Length: 0", FORM)) is None


def test_only_texts_and_scalars_are_text() -> None:
    one = posted(b'{"t": true, "n": 5, "f": 1.5, "l": [1]}', JSON)
    assert [one.var(f"post_arg.{name}") for name in "tnfl"] == ["true", "5", "1.5", None]
