"""The objects that a file asks for. Pure."""

from dataclasses import dataclass
from typing import Any

from control.ctl.kinds import CREDENTIALS, KINDS, Kind, kind_named
from control.store.file_format import Item, parse
from control.store.yaml_json import FileError

Doc = dict[str, Any]
Name = tuple[str, str]  # collection, id


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object. `doc` is without its id, which stands in the path when it is written. `line`: 0 when unknown."""

    kind: Kind
    id: str
    doc: Doc
    line: int = 0

    @property
    def name(self) -> Name:
        return self.kind.collection, self.id


@dataclass(frozen=True, slots=True)
class Manifest:
    """`kinds`: collections that the file names; of these it is meant to be complete when `--prune` is given."""

    objects: tuple[Wanted, ...]
    kinds: frozenset[str]


def read_manifest(raw: bytes, environ: dict[str, str] | None) -> Manifest:
    """Read YAML; `environ`: see parse. Raises FileError."""
    parsed = parse(raw, environ)
    kinds: set[str] = set()
    for spelling, line in parsed.kinds.items():
        kinds.add(_kind(spelling, line).collection)
    if "consumers" in kinds:
        kinds.add("credentials")
    objects: dict[Name, Wanted] = {}
    for item in parsed.items:
        wanted = _wanted(item)
        if wanted.name in objects:
            raise FileError(
                item.line, f"{label(wanted.name)} is there twice, first in line {objects[wanted.name].line}"
            )
        objects[wanted.name] = wanted
    return Manifest(tuple(objects.values()), frozenset(kinds))


def label(name: Name) -> str:
    """As people read it: routes/1."""
    return "/".join(name)


def _kind(spelling: str, line: int) -> Kind:
    if spelling == "plugins":
        raise FileError(line, '"plugins" is a list of names, not of objects: leave it out')
    try:
        return kind_named(spelling)
    except ValueError as error:
        raise FileError(line, str(error)) from None


def _wanted(item: Item) -> Wanted:
    kind = _kind(item.kind, item.line)
    doc = dict(item.value)
    id = doc.pop("id", None)
    if id is None and kind.collection == "consumers":
        id = doc.get("username")
    if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
        # A made-up id, as stand-alone mode gives, would be another object's as soon as there are two files.
        raise FileError(item.line, f"{kind.name} number {item.number} has no id")
    text = str(id)
    if kind.collection == "consumers" and CREDENTIALS in text:
        kind = next(other for other in KINDS if other.collection == "credentials")
    if kind.collection == "credentials" and CREDENTIALS not in text:
        raise FileError(item.line, f'credential [{text}]: expected an id of the form "CONSUMER/credentials/ID"')
    return Wanted(kind, text, doc, item.line)
