"""What plugins check beyond their schemas: each function returns what is wrong, or None."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from control.model.errors import ModelError
from control.model.expr import check_expression
from control.model.lua import check_script
from control.model.lua_text import type_of
from control.model.schema import compile_schema

Conf = Mapping[str, Any]

_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")
_FIELD = re.compile(r"[^:\x00-\x20\x7f]+\Z")
_GROUPS = ("set", "add", "remove")
_REFERENCES = ("$secret://", "$env://", "$ENV://")


def is_reference(value: str) -> bool:
    """True for what stands for a secret that gateways fetch."""
    return value.startswith(_REFERENCES)


def regex_problem(pattern: str) -> str | None:
    """Why `pattern` is no regular expression."""
    try:
        re.compile(_NAMED_GROUP.sub("(?P<", pattern))
    except (re.error, OverflowError, RecursionError) as problem:
        return str(problem)
    return None


def first_regex_problem(patterns: Iterable[str]) -> str | None:
    """The first of `patterns` that is no regular expression, and why."""
    for pattern in patterns:
        problem = regex_problem(pattern)
        if problem is not None:
            return f"invalid regex({pattern}): {problem}"
    return None


def address_problem(addresses: Iterable[str]) -> str | None:
    """The first of `addresses` that is no IPv4 or IPv6 address or network."""
    for address in addresses:
        try:
            is_good = is_reference(address) or bool(ip_network(address, strict=False))
        except ValueError:
            is_good = False
        if not is_good:
            return f"invalid ip address: {address}"
    return None


def vars_problem(rules: Any) -> str | None:
    """What is wrong with the rules of a field `vars`; it may be absent."""
    error = None if rules is None else check_expression(rules)
    return None if error is None else f"failed to validate the 'vars' expression: {error}"


def log_problem(conf: Conf) -> str | None:
    """What is wrong with the expressions that say when bodies are logged."""
    for field in ("include_req_body_expr", "include_resp_body_expr"):
        error = check_expression(conf[field]) if field in conf else None
        if error is not None:
            return f"failed to validate the '{field}' expression: {error}"
    return None


def stream_log_problem(conf: Conf) -> str | None:
    """The same for loggers that write to a connection: whether they verify whom they write to is a field of ours."""
    verify = conf.get("ssl_verify", False)
    if not isinstance(verify, bool):
        return f'property "ssl_verify" validation failed: wrong type: expected boolean, got {type_of(verify)}'
    return log_problem(conf)


def header_problem(headers: object) -> str | None:
    """The first header, in `{name: value}` or in `{set: {...}, add: ..., remove: [...]}`, that cannot be sent."""
    if not isinstance(headers, dict):
        return f"wrong type: expected object, got {type_of(headers)}"
    is_grouped = any(isinstance(headers.get(name), dict | list) for name in _GROUPS)
    groups = [headers[name] for name in _GROUPS if isinstance(headers.get(name), dict)] if is_grouped else [headers]
    for group in groups:
        for name, value in group.items():
            if not name:
                return "invalid field length in header"
            if not _FIELD.match(name):
                return "invalid field character in header"
            if any("\r" in str(one) or "\n" in str(one) for one in (value if isinstance(value, list) else [value])):
                return "invalid value character in header"
    return None


def is_base64(text: str) -> bool:
    """True when `text` is base64 of something, or a reference."""
    return is_reference(text) or decoded_length(text) > 0


def decoded_length(text: str) -> int:
    """How many bytes `text` is the base64 of; 0 when it is none."""
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return 0


def lua_problem(functions: Iterable[str]) -> str | None:
    """The first of `functions` that is not Lua which returns a function, and why."""
    for source in functions:
        try:
            check_script(source)
        except ModelError as problem:
            _, is_broken, why = str(problem).partition("string: ")
            return (
                f"failed to loadstring: {why}" if is_broken else "only accept Lua function, the input code type is nil"
            )
    return None


def schema_problem(schema: Any) -> str | None:
    """Why `schema` is not a JSON Schema that can be checked."""
    try:
        compile_schema(schema)
    except (ValueError, KeyError, TypeError, AttributeError, re.error) as problem:
        return str(problem)
    return None


def json_problem(text: str) -> str | None:
    """Why `text` is not JSON."""
    try:
        json.loads(text, strict=False)
    except ValueError as problem:
        at = getattr(problem, "pos", 0) + 1
        return f"Expected value but found invalid token at character {at}"
    return None
