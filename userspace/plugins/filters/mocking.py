"""mocking: the answer is an example, or made up by a schema."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from userspace.http.request import Request
from userspace.plugins.env import Env
from userspace.plugins.filter import Conf, Filter
from userspace.plugins.header_operations import value_text
from userspace.plugins.outcome import Outcome, Reply, Wait
from userspace.plugins.template import Template

MOCKED_BY: Final = (b"x-mock-by", b"APISIX/3.18.0")
MAX_DEPTH: Final = 32
"""Of a schema; what is deeper is left out."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_XML: Final = ("application/xml", "text/xml")
_AS_JSON: Final = ("application/json", "text/plain")


class Mocking(Filter):
    NAME = "mocking"

    def __init__(self, conf: Conf, env: Env) -> None:
        super().__init__(conf, env)
        self._kind: str = conf["content_type"].partition(";")[0].strip()
        self._example = Template(conf["response_example"]) if "response_example" in conf else None
        self._headers = [
            (name.encode(), Template(value_text(value))) for name, value in conf.get("response_headers", {}).items()
        ]

    def access(self, request: Request) -> Outcome:
        template = self._example if self._example is not None else Template(self._made_up())
        headers = {b"content-type": (b"Content-Type", self.conf["content_type"].encode())}
        if self.conf["with_mock_header"]:
            headers[MOCKED_BY[0]] = MOCKED_BY
        for name, value in self._headers:
            headers[name.lower()] = (name, value.fill(request).encode("utf-8", "surrogateescape"))
        body = template.fill(request).encode("utf-8", "surrogateescape")
        reply = Reply(self.conf["response_status"], body, tuple(headers.values()))
        return Wait(self.conf["delay"], reply) if self.conf["delay"] > 0 else reply

    def _made_up(self) -> str:
        value = _object(self.conf["response_schema"], self.env.draw, MAX_DEPTH)
        if self._kind in _XML:
            return to_xml(value, "data")
        return orjson.dumps(value).decode() if self._kind in _AS_JSON else ""


_Draw = Callable[[], float]


def _value(schema: Mapping[str, Any], draw: _Draw, depth: int) -> Any:
    kind, example = str(schema.get("type", "")).lower(), schema.get("example")
    if kind == "array":
        return _array(schema, draw, depth)
    if kind == "object":
        return _object(schema, draw, depth)
    is_number = isinstance(example, int | float) and not isinstance(example, bool)
    if kind == "string":
        length = 1 + int(draw() * 10)
        return example if isinstance(example, str) else "".join(_LETTERS[int(draw() * 26)] for _ in range(length))
    if kind == "number":
        return example if is_number else draw() * 10000
    if kind == "integer":
        return math.floor(example) if is_number and example is not None else 1 + int(draw() * 10000)
    if kind == "boolean":
        return example if isinstance(example, bool) else draw() >= 0.5
    return None


def _array(schema: Mapping[str, Any], draw: _Draw, depth: int) -> list[Any] | None:
    items = schema.get("items")
    if not isinstance(items, Mapping) or depth <= 0:
        return None
    made = [_value(items, draw, depth - 1) for _ in range(1 + int(draw() * 3))]
    return [value for value in made if value is not None]


def _object(schema: Mapping[str, Any], draw: _Draw, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth <= 0:
        return {}
    made = {name: _value(inner, draw, depth - 1) for name, inner in properties.items() if isinstance(inner, Mapping)}
    return {name: value for name, value in made.items() if value is not None}


def to_xml(value: Any, tag: str, level: int = 0) -> str:
    """Return `value` as elements called `tag`, two spaces per level, as xml2lua writes it: a list as many of them."""
    pad = "  " * level
    if isinstance(value, list):
        return "\n".join(to_xml(item, tag, level) for item in value)
    if isinstance(value, dict):
        inner = [to_xml(item, name, level + 1) for name, item in value.items()]
        return "\n".join([f"{pad}<{tag}>", *inner, f"{pad}</{tag}>"]) + ("\n" if level == 0 else "")
    return f"{pad}<{tag}>{_escaped(value)}</{tag}>"


def _escaped(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
