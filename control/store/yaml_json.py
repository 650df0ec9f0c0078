"""YAML read as JSON: only maps with text keys, lists, texts, numbers, true, false and null come out. Pure.

Stricter than YAML where YAML surprises: a key given twice is an error; dates, `on`, `0755` and base-60 numbers (as
`12:34:56:12:34:56`, a MAC address) stay text. Anchors, aliases and merge keys work, within MAX_VALUES.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

# Scalars, lists and maps once aliases are followed: a few lines of aliases can stand for billions.
MAX_VALUES = 5_000_000
MAX_DEPTH = 100

_TAG = "tag:yaml.org,2002:"
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelled: word == "true" for word in ("true", "false") for spelled in (word, word.title(), word.upper())
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|nan)\Z", re.IGNORECASE)
MAX_DIGITS = 30

Pair = tuple[str, Any, int, list[int]]


class FileError(ValueError):
    """The file as a whole cannot be used. `str(error)` begins with the line, if one is to blame."""

    def __init__(self, line: int | None, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line is not None else why)


def documents(raw: bytes, substitute: Callable[[str, int], Any]) -> Iterator[tuple[int, list[Pair] | None]]:
    """Each document: its first line, and its pairs, or None if it is no map; empty documents are passed over.

    A pair is key, value, line of the value, and the lines of the value's items if it is a list. `substitute(text,
    line)` gives what stands for a text. Raises FileError, at the latest when all is read.
    """
    try:
        reader = _Reader(raw, substitute)
        try:
            yield from reader.documents()
        finally:
            reader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise FileError(mark.line + 1 if mark else None, error.problem or str(error)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileError(None, " ".join(str(error).split())) from None


class _Reader:
    """Events in, values out. libyaml's own composer is not used: its stack overflows on deep nesting."""

    def __init__(self, raw: bytes, substitute: Callable[[str, int], Any]) -> None:
        self._parser = yaml.CSafeLoader(raw)
        self._substitute = substitute
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def dispose(self) -> None:
        self._parser.dispose()

    def documents(self) -> Iterator[tuple[int, list[Pair] | None]]:
        self._next()
        while not isinstance(self._next(), yaml.StreamEndEvent):
            self._anchors.clear()
            root = self._next()
            if isinstance(root, yaml.MappingStartEvent):
                yield _line(root), self._pairs(root, 1)
            elif self._value(root, 0) is not None:
                yield _line(root), None
            self._next()

    def _next(self) -> yaml.Event:
        event = self._parser.get_event()
        assert event is not None
        return event

    def _value(self, event: yaml.Event, depth: int) -> Any:
        before = self._count
        self._spend(1, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif depth > MAX_DEPTH:
            raise FileError(_line(event), f"nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.SequenceStartEvent):
            value = [item for item, _ in self._items(event, depth + 1)]
        else:
            assert isinstance(event, yaml.MappingStartEvent)
            value = {key: value for key, value, _, _ in self._pairs(event, depth + 1)}
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _items(self, start: yaml.SequenceStartEvent, depth: int) -> Iterator[tuple[Any, int]]:
        _check_tag(start, "seq")
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._value(event, depth), _line(event)

    def _pairs(self, start: yaml.MappingStartEvent, depth: int) -> list[Pair]:
        _check_tag(start, "map")
        own: dict[str, Pair] = {}
        merged: dict[str, Pair] = {}
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise FileError(_line(key), "a key is a text")
            event = self._next()
            if key.value == "<<" and not key.style:
                for name, value in _merge(self._value(event, depth), event):
                    merged.setdefault(name, (name, value, _line(event), []))
                continue
            lines: list[int] = []
            if isinstance(event, yaml.SequenceStartEvent) and event.anchor is None:
                self._spend(1, event)
                value = []
                for item, line in self._items(event, depth + 1):
                    value.append(item)
                    lines.append(line)
            else:
                value = self._value(event, depth)
                lines = [_line(event)] * len(value) if isinstance(value, list) else []
            name = str(self._substitute(key.value, _line(key)))
            if name in own:
                raise FileError(_line(key), f'key "{name}" is there twice')
            own[name] = (name, value, _line(key), lines)
        return list((merged | own).values())

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise FileError(_line(event), f"*{event.anchor} has no complete &{event.anchor} before it")
        value, size = self._anchors[event.anchor]
        self._spend(size, event)
        return value

    def _spend(self, count: int, event: yaml.Event) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise FileError(_line(event), f"more than {MAX_VALUES} values once aliases are followed")

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = str(event.value)
        if event.tag in (_TAG + "str", "!") or (event.tag is None and event.style):
            return self._substitute(text, _line(event))
        value = plain(text)
        if event.tag is not None and event.tag != _TAG + _name_of(value):
            raise FileError(_line(event), f'"{text[:40]}" with the tag {event.tag} has no place in JSON')
        if _NOT_FINITE.match(text) or (isinstance(value, float) and not math.isfinite(value)):
            raise FileError(_line(event), f"{text[:40]} is no number in JSON")
        return self._substitute(text, _line(event)) if isinstance(value, str) else value


def plain(text: str) -> Any:
    """What a text without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= MAX_DIGITS:
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
    return text


def _merge(value: Any, event: yaml.Event) -> Iterator[tuple[str, Any]]:
    """The pairs of the map, or of the list of maps, that a merge key brings."""
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, dict):
            raise FileError(_line(event), "<< takes a map, or a list of maps")
        yield from part.items()


def _check_tag(event: yaml.CollectionStartEvent, expected: str) -> None:
    if event.tag not in (None, "!", _TAG + expected):
        raise FileError(_line(event), f"the tag {event.tag} has no place in JSON")


def _name_of(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", str: "str"}.get(type(value), "null")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.line) + 1
