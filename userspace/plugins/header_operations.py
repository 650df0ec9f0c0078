"""What plugins do to headers: add, set, remove, with variables and captures in the values."""

from collections.abc import Mapping, Sequence
from typing import Any

from userspace.plugins.template import Template

GROUPS = ("add", "set", "remove")


def value_text(value: Any) -> str:
    """A value of the configuration as text; numbers as Lua writes them."""
    if isinstance(value, float):
        return f"{value:.14g}"
    return str(value)


class HeaderOperations:
    """Compiled from `{name: value}`, which means set, or from `{"add": ..., "set": ..., "remove": [...]}`.

    `add` and `set`: (name, values), one or several; `remove`: names. They are applied in this order.
    """

    __slots__ = ("add", "remove", "set")

    def __init__(self, conf: Mapping[str, Any]) -> None:
        is_grouped = any(isinstance(conf.get(group), dict | list) for group in GROUPS)
        add = (conf.get("add") or {}) if is_grouped else {}
        self.add = _split(add) if isinstance(add, list) else _fields(add)
        self.set = _fields((conf.get("set") or {}) if is_grouped else conf)
        self.remove = [name.encode() for name in (conf.get("remove") or [])] if is_grouped else []


_Fields = list[tuple[bytes, list[Template]]]


def _fields(named: Mapping[str, Any]) -> _Fields:
    return [
        (name.encode(), [Template(value_text(one)) for one in (value if isinstance(value, list) else [value])])
        for name, value in named.items()
    ]


def _split(lines: Sequence[str]) -> _Fields:
    """Lines "Name: value". Raises ValueError for one that is none."""
    fields: _Fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not name or any(char.isspace() for char in name):
            raise ValueError(f"{line!r} is not name: value")
        fields.append((name.encode(), [Template(value)]))
    return fields
