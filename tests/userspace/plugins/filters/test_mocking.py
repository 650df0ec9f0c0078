from typing import Any

import orjson
import pytest

from tests.requests import request
from tests.userspace.plugins.filters.filter_of import filter_of, said
from userspace.plugins.env import Env
from userspace.plugins.filters.mocking import to_xml
from userspace.plugins.outcome import Reply, Wait


def mocked(**conf: Any) -> Reply:
    reply = filter_of("mocking", conf, Env(draw=lambda: 0.5)).access(request("GET", "/a"))
    assert isinstance(reply, Reply)
    return reply


def test_an_example_with_variables_is_the_answer() -> None:
    reply = mocked(response_example="at $uri$none", response_status=201, content_type="text/plain")
    assert said(reply) == (201, "at /a")
    assert reply.headers == ((b"Content-Type", b"text/plain"), (b"x-mock-by", b"APISIX/3.18.0"))


def test_headers_may_have_variables_and_replace_ours() -> None:
    reply = mocked(response_example="", response_headers={"X-U": "$uri", "Content-Type": "a/b", "N": 1})
    assert reply.headers == (
        (b"Content-Type", b"a/b"), (b"x-mock-by", b"APISIX/3.18.0"), (b"X-U", b"/a"), (b"N", b"1")
    )  # fmt: skip
    assert mocked(response_example="", with_mock_header=False).headers == (
        (b"Content-Type", b"application/json;charset=utf8"),
    )


def test_a_delay_waits_before_the_answer() -> None:
    outcome = filter_of("mocking", {"response_example": "x", "delay": 2}).access(request())
    assert isinstance(outcome, Wait) and outcome.seconds == 2 and said(outcome.reply) == (200, "x")


def test_a_schema_is_made_up_of_examples_and_chance() -> None:
    schema = {
        "type": "object",
        "properties": {
            "s": {"type": "string", "example": "hello"},
            "i": {"type": "Integer", "example": 4.7},
            "n": {"type": "number", "example": 5.5},
            "b": {"type": "boolean", "example": True},
            "o": {"type": "object"},
            "l": {"type": "array", "items": {"type": "integer", "example": 1}},
            "none": {"type": "array"},
            "what": {"type": "null"},
        },
    }
    made = orjson.loads(mocked(response_schema=schema).body)
    assert made == {"s": "hello", "i": 4, "n": 5.5, "b": True, "o": {}, "l": [1, 1]}


def test_without_examples_values_have_their_types() -> None:
    kinds = ("string", "integer", "number", "boolean")
    made = orjson.loads(mocked(response_schema={"properties": {kind: {"type": kind} for kind in kinds}}).body)
    assert made == {"string": "nnnnnn", "integer": 5001, "number": 5000.0, "boolean": True}


def test_a_schema_that_is_too_deep_is_cut() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        schema = {"type": "object", "properties": {"x": schema}}
    assert mocked(response_schema=schema).body.count(b"x") == 32


@pytest.mark.parametrize(("kind", "body"), [("text/xml;x=y", "<data>\n  <a>1</a>\n</data>\n"), ("text/html", "")])
def test_by_content_type_it_is_json_xml_or_nothing(kind: str, body: str) -> None:
    schema = {"properties": {"a": {"type": "integer", "example": 1}}}
    assert said(mocked(response_schema=schema, content_type=kind))[1] == body


def test_xml_repeats_the_element_of_a_list_and_escapes() -> None:
    value = {"a": ["x<", True], "b": {"c": 1.5}}
    lines = ["<data>", "  <a>x&lt;</a>", "  <a>true</a>", "  <b>", "    <c>1.5</c>", "  </b>", "</data>", ""]
    assert to_xml(value, "data") == "\n".join(lines)
