"""What consistent hashing hashes of a request: APISIX's `hash_on` and `key`, compiled."""

import re
from collections.abc import Callable
from typing import Final, Protocol


class Variables(Protocol):
    """A request, as far as keys need it."""

    def var(self, name: str) -> str | None:
        """The value of a variable, None when it has none."""


KeyOf = Callable[[Variables], str]

_REFERENCE: Final = re.compile(r"(?<!\\)\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_FAMILIES: Final = {"vars": "", "header": "http_", "cookie": "cookie_"}


def compile_key(hash_on: str, key: str) -> KeyOf:
    """Return what gives a request's key. A request without it is hashed by its client's address, as in APISIX: never
    none, lest all such requests go to one endpoint.

    vars_combinations: `$name` and `${name}` in `key` stand for variables; missing ones are empty, but if all are the
    address counts.
    """
    if hash_on == "vars_combinations":
        return _combination(key)
    name = "consumer_name" if hash_on == "consumer" else _FAMILIES[hash_on] + key

    def single(request: Variables) -> str:
        value = request.var(name)
        return value if value is not None else _address(request)

    return single


def variables_of(hash_on: str, key: str) -> tuple[str, ...]:
    """Return the variables that such a key is made of, or falls back to."""
    if hash_on == "vars_combinations":
        return (*(match[1] or match[2] for match in _REFERENCE.finditer(key)), "remote_addr")
    return ("consumer_name" if hash_on == "consumer" else _FAMILIES[hash_on] + key), "remote_addr"


def _combination(template: str) -> KeyOf:
    pieces: list[tuple[str, str]] = []  # (text, the variable behind it)
    end = 0
    for match in _REFERENCE.finditer(template):
        pieces.append((template[end : match.start()], match[1] or match[2]))
        end = match.end()
    rest = template[end:]

    def combined(request: Variables) -> str:
        values = [request.var(name) for _, name in pieces]
        if all(value is None for value in values):
            return _address(request)
        return "".join(f"{text}{value or ''}" for (text, _), value in zip(pieces, values, strict=True)) + rest

    return combined


def _address(request: Variables) -> str:
    return request.var("remote_addr") or ""
