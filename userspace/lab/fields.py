"""Fields: typed reads out of a YAML mapping, each failure naming the field by its dotted path."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeVar

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_Word = TypeVar("_Word", bound=str)
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class TopologyError(Exception):
    """`field` is a dotted path into the topology file, or the path of the file itself."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


class Fields:
    """One mapping of the file. `done` refuses the keys that nobody read."""

    def __init__(self, path: str, value: object) -> None:
        if not isinstance(value, dict):
            raise TopologyError(path or "topology", "must be a mapping")
        self._path = path
        self._values: dict[Any, object] = value
        self._read: set[object] = set()
        self._sections: dict[str, Fields] = {}

    @property
    def name(self) -> str:
        return self._path.rpartition(".")[2]

    def field(self, key: object) -> str:
        return f"{self._path}.{key}" if self._path else str(key)

    def section(self, key: str) -> "Fields":
        if key not in self._sections:
            self._sections[key] = Fields(self.field(key), self._take(key, {}))
        return self._sections[key]

    def names(self, longest: int = 64) -> list[str]:
        """All keys; one that is not a name of at most `longest` characters is refused: it would end up in commands."""
        for key in self._values:
            if not isinstance(key, str) or len(key) > longest or not _NAME.fullmatch(key):
                raise TopologyError(self.field(key), f"is not a name: a-z 0-9 and -, at most {longest} characters")
        return list(self._values)

    def children(self, longest: int = 64) -> Iterator["Fields"]:
        for key in self.names(longest):
            yield self.section(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            raise TopologyError(self.field(key), "must be text")
        return value

    def texts(self, key: str) -> list[str]:
        values = self._take(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise TopologyError(self.field(key), "must be a list of texts")
        return values

    def choice(self, key: str, words: Sequence[_Word], default: _Word | None = None) -> _Word:
        value = self.text(key, default)
        for word in words:
            if word == value:
                return word
        raise TopologyError(self.field(key), f"{value!r} is none of {', '.join(words)}")

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise TopologyError(self.field(key), f"must be a number from {low} to {high}")
        return value

    def address(self, key: str) -> IPv4Address:
        return _address(self.field(key), self.text(key))

    def address6(self, key: str) -> IPv6Address:
        found = self.any_address(key)
        if not isinstance(found, IPv6Address):
            raise TopologyError(self.field(key), f"{str(found)!r} is not an IPv6 address")
        return found

    def any_address(self, key: str) -> Address:
        return _any_address(self.field(key), self.text(key))

    def any_addresses(self, key: str) -> list[Address]:
        return [_any_address(self.field(key), text) for text in self.texts(key)]

    def by_address(self) -> dict[IPv4Address, str]:
        """The whole mapping, of addresses to texts."""
        return {_address(self.field(key), str(key)): self.text(key) for key in self._values}

    def network(self, key: str) -> IPv4Network:
        return _network(self.field(key), self.text(key))

    def network6(self, key: str) -> IPv6Network:
        found = self.any_network(key)
        if not isinstance(found, IPv6Network):
            raise TopologyError(self.field(key), f"{str(found)!r} is not an IPv6 network")
        return found

    def any_network(self, key: str) -> Network:
        return _any_network(self.field(key), self.text(key))

    def any_networks(self, key: str) -> list[Network]:
        return [_any_network(self.field(key), text) for text in self.texts(key)]

    def done(self) -> None:
        for key in self._values:
            if key not in self._read:
                raise TopologyError(self.field(key), "unknown field")

    def _take(self, key: str, default: object) -> object:
        self._read.add(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            raise TopologyError(self.field(key), "is missing")
        return default


def _address(field: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise TopologyError(field, f"{text!r} is not an IPv4 address") from error


def _network(field: str, text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise TopologyError(field, f"{text!r} is not an IPv4 network: {error}") from error


def _any_address(field: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise TopologyError(field, f"{text!r} is not an IP address") from error


def _any_network(field: str, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise TopologyError(field, f"{text!r} is not an IP network: {error}") from error
