"""The form of configuration files: APISIX's apisix.yaml, and the same with several documents. Pure.

routes:                       or, one object per document:      kind: route
  - id: "1"                                                     id: "1"
    uri: /*                                                     uri: /*
#END
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from control.store.yaml_json import FileError, documents, plain

MAX_BYTES = 64 << 20
END = b"#END"

_VARIABLE = re.compile(r"\$\{\{\s*(\w+)\s*(?::=(.*?))?\s*\}\}")
_VERSION = re.compile(r"\w+_conf_version\Z")
_DOCUMENT = "a document is a map of kinds to lists of objects, or one object with a `kind`"


@dataclass(frozen=True, slots=True)
class Item:
    """One object. `kind`: as the file spells it; `number`: among those of its kind, from 1; `line`: it begins here."""

    kind: str
    number: int
    line: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parsed:
    """`kinds`: each kind that the file names, also those with an empty list, and the line of its first mention."""

    items: tuple[Item, ...]
    kinds: Mapping[str, int]
    has_end: bool


def has_end(raw: bytes) -> bool:
    """True when the last line that is not blank is `#END`: nothing has been cut off."""
    return raw.rstrip().rpartition(b"\n")[2].strip() == END


def parse(raw: bytes, environ: Mapping[str, str] | None = None) -> Parsed:
    """Read a file. With `environ`, `${{NAME}}` and `${{NAME:=default}}` in texts are replaced, as APISIX does: what is
    a number or true or false then, becomes one. `..._conf_version` is passed over. Raises FileError."""
    if len(raw) > MAX_BYTES:
        raise FileError(None, f"{len(raw)} bytes, at most {MAX_BYTES} are read")
    if not raw.strip():
        raise FileError(None, "the file is empty")
    items: list[Item] = []
    kinds: dict[str, int] = {}
    numbers: Counter[str] = Counter()
    for kind, line, value in _objects(raw, environ, kinds):
        numbers[kind] += 1
        items.append(Item(kind, numbers[kind], line, value))
    return Parsed(tuple(items), kinds, has_end(raw))


def _objects(
    raw: bytes, environ: Mapping[str, str] | None, kinds: dict[str, int]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(kind, line, object) of each object; what the file names goes into `kinds`."""

    def substitute(text: str, line: int) -> Any:
        return text if environ is None or "${{" not in text else _substituted(text, line, environ)

    for start, pairs in documents(raw, substitute):
        if pairs is None:
            raise FileError(start, _DOCUMENT)
        fields = {key: value for key, value, _, _ in pairs}
        if isinstance(fields.get("kind"), str):
            kind = fields.pop("kind")
            kinds.setdefault(kind, start)
            yield kind, start, fields
            continue
        for kind, listed, line, lines in pairs:
            if _VERSION.match(kind):
                continue
            if listed is not None and not isinstance(listed, list):
                raise FileError(line, f'"{kind}": expected a list of objects; {_DOCUMENT}')
            kinds.setdefault(kind, line)
            for value, at in zip(listed or (), lines, strict=True):
                if not isinstance(value, dict):
                    raise FileError(at, f'"{kind}": expected an object, got {type(value).__name__}')
                yield kind, at, value


def _substituted(text: str, line: int, environ: Mapping[str, str]) -> Any:
    def one(match: re.Match[str]) -> str:
        found = environ.get(match[1], match[2])
        if found is None:
            raise FileError(line, f"there is no environment variable {match[1]}")
        return found

    new = _VARIABLE.sub(one, text)
    value = plain(new)
    return new if new == text or value is None else value
